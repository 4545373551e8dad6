"""The loops of `matting`'s second level: nodes on a grid, each with a linear model of the colours.

Nodes lie 2^`shift` pixels apart; `nodes` has the number of each, or -1. `spots` are the unknown
pixels' coordinates, int32 (n, 2). Each pixel lies between four nodes, whose models mix by distance.
As in `kernels`, loops from `first` to `last` can be shared out.
"""

import numpy as np

from sakuga_server.imaging.compiled import kernel
from sakuga_server.imaging.picture import Array
from sakuga_server.matting.kernels import REACH, STENCIL


@kernel
def moments(
    spots: Array, colours: Array, shift: int, nodes: Array, sums: Array, first: int, last: int
) -> None:
    """Weighted sums of (1, R, G, B) ⊗ (1, R, G, B) around each node: sums (nodes, 4, 4)."""
    terms, weights = np.ones(4), np.empty(4)
    for i in range(first, last):
        y, x = spots[i, 0] >> shift, spots[i, 1] >> shift
        corners(spots[i, 0], spots[i, 1], shift, weights)
        terms[1:] = colours[i]
        for corner in range(4):
            node = nodes[y + (corner >> 1), x + (corner & 1)]
            for a in range(4):
                for b in range(4):
                    sums[node, a, b] += weights[corner] * terms[a] * terms[b]


@kernel
def corners(y: int, x: int, shift: int, weights: Array) -> None:
    """The bilinear weights of the four nodes around a pixel."""
    step = 1 << shift
    down, right = (y & (step - 1)) / step, (x & (step - 1)) / step
    weights[0] = (1.0 - down) * (1.0 - right)
    weights[1] = (1.0 - down) * right
    weights[2] = down * (1.0 - right)
    weights[3] = down * right


@kernel
def gather(
    row: Array, numbers: Array, colours: Array, y: int, x: int, shift: int, near: Array
) -> None:
    """One row of the Laplacian times what each node nearby contributes: near (3, 3, 4)."""
    ny, nx, weights = (y - REACH) >> shift, (x - REACH) >> shift, np.empty(4)
    near[:] = 0.0
    for k in range(STENCIL):
        value = row[k]
        if value == 0.0:
            continue
        yj, xj = y + k // 5 - 2, x + k % 5 - 2
        j = numbers[yj, xj]
        corners(yj, xj, shift, weights)
        ky, kx = (yj >> shift) - ny, (xj >> shift) - nx
        red, green, blue = colours[j, 0], colours[j, 1], colours[j, 2]
        for corner in range(4):
            weight = value * weights[corner]
            cell = near[ky + (corner >> 1), kx + (corner & 1)]
            cell[0] += weight
            cell[1] += weight * red
            cell[2] += weight * green
            cell[3] += weight * blue


@kernel
def galerkin(
    rows: Array, spots: Array, colours: Array, numbers: Array, shift: int, nodes: Array,
    blocks: Array, first: int, last: int,
) -> None:  # fmt: skip
    """The Laplacian between nodes: blocks (nodes, 25, 4, 4), for the 5x5 nodes around each."""
    near, weights, terms = np.zeros((3, 3, 4)), np.empty(4), np.ones(4)
    for i in range(first, last):
        y, x = spots[i, 0], spots[i, 1]
        gather(rows[i], numbers, colours, y, x, shift, near)
        ny, nx = (y - REACH) >> shift, (x - REACH) >> shift
        high, wide = ((y + REACH) >> shift) + 2 - ny, ((x + REACH) >> shift) + 2 - nx
        corners(y, x, shift, weights)
        for c in range(3):
            terms[c + 1] = colours[i, c]
        for corner in range(4):
            ky, kx = (y >> shift) + (corner >> 1), (x >> shift) + (corner & 1)
            node, weight = nodes[ky, kx], weights[corner]
            for n in range(high * wide):
                b, a = n // wide, n % wide
                block = blocks[node, (ny + b - ky + 2) * 5 + nx + a - kx + 2]
                for p in range(4):
                    for q in range(4):
                        block[p, q] += weight * terms[p] * near[b, a, q]


@kernel
def to_modes(
    blocks: Array, modes: Array, others: Array, half: Array, first: int, last: int
) -> None:
    """blocks = modesᵀ · blocks · modes of the other node, in place, for nodes `first` to `last`.

    Args:
        others: (nodes, 25): the nodes around each, or -1.
        half: float64 (4, 4), scratch.
    """
    for k in range(first, last):
        for n in range(STENCIL):
            if others[k, n] >= 0:
                sandwich(modes[k], blocks[k, n], modes[others[k, n]], half)


@kernel
def sandwich(left: Array, block: Array, right: Array, half: Array) -> None:
    """block = leftᵀ · block · right, all (4, 4)."""
    for a in range(4):
        for b in range(4):
            half[a, b] = 0.0
            for c in range(4):
                half[a, b] += block[a, c] * right[c, b]
    for a in range(4):
        for b in range(4):
            block[a, b] = 0.0
            for c in range(4):
                block[a, b] += left[c, a] * half[c, b]


@kernel
def to_nodes(
    spots: Array, colours: Array, shift: int, nodes: Array, values: Array, result: Array,
    first: int, last: int,
) -> None:  # fmt: skip
    """Adds pixels' values to their nodes: result (nodes, 4) += weight · value · (1, R, G, B)."""
    weights = np.empty(4)
    for i in range(first, last):
        y, x = spots[i, 0] >> shift, spots[i, 1] >> shift
        corners(spots[i, 0], spots[i, 1], shift, weights)
        for corner in range(4):
            node = nodes[y + (corner >> 1), x + (corner & 1)]
            weight = weights[corner] * values[i]
            result[node, 0] += weight
            for c in range(3):
                result[node, c + 1] += weight * colours[i, c]


@kernel
def to_pixels(
    spots: Array, place: Array, colours: Array, shift: int, nodes: Array, values: Array,
    result: Array, first: int, last: int,
) -> None:  # fmt: skip
    """The nodes' linear models of the colour, mixed by distance; result padded and flat."""
    weights = np.empty(4)
    for i in range(first, last):
        y, x = spots[i, 0] >> shift, spots[i, 1] >> shift
        corners(spots[i, 0], spots[i, 1], shift, weights)
        total = 0.0
        for corner in range(4):
            model = values[nodes[y + (corner >> 1), x + (corner & 1)]]
            value = model[0]
            for c in range(3):
                value += model[c + 1] * colours[i, c]
            total += weights[corner] * value
        result[place[i]] = total
