"""The loops of `matting` over pixels: the matting Laplacian of Levin et al. 2008, and conjugate
gradients. (`coarse_kernels` has those of the second level.)

A picture is held padded by `PAD` pixels all around. Unknown pixels are numbered row by row;
`place` is the position of each in the flattened padded picture, and what belongs to it lies at
its number: a row of 25 stencil values, a colour, a residual. Vectors that a stencil reads are as
large as the padded picture, and 0 outside the unknown pixels.

Kernels work on pixels `first` to `last` and write nothing else, so threads can share them out.
"""

import numpy as np

from sakuga_server.imaging.compiled import kernel
from sakuga_server.imaging.picture import Array

PAD = 3  # a stencil reaches 2 pixels, the window of a neighbour 1 more
REACH = 2  # of a stencil
STENCIL = 25
# Levin's regularisation, in squared colours of 0…1, as PyMatting has it. More blurs: 1e-6 already
# costs a quarter more error on glows.
EPSILON = 1e-7


@kernel
def whiten(picture: Array, y: int, x: int, scale: float, whitened: Array) -> None:
    """The colours of one 3x3 window, centred and of unit covariance: whitened, float64 (9, 3).

    Levin's (I - mean)ᵀ covariance⁻¹ (I - mean) is then a plain inner product, so the Laplacian
    stays symmetric and has no negative energy. The covariance is nearly singular in drawings;
    its Cholesky factor loses 1e-10 there where cofactors lose 1e-2.
    """
    for c in range(3):
        total = 0.0
        for k in range(9):
            total += picture[y + k // 3 - 1, x + k % 3 - 1, c]
        for k in range(9):
            whitened[k, c] = (picture[y + k // 3 - 1, x + k % 3 - 1, c] - total / 9) * scale
    rr = gg = bb = EPSILON / 9  # PyMatting adds epsilon to the sum over the window
    rg = rb = gb = 0.0
    for k in range(9):
        red, green, blue = whitened[k, 0], whitened[k, 1], whitened[k, 2]
        rr += red * red / 9
        rg += red * green / 9
        rb += red * blue / 9
        gg += green * green / 9
        gb += green * blue / 9
        bb += blue * blue / 9
    d0 = 1.0 / np.sqrt(rr)
    l10, l20 = rg * d0, rb * d0
    d1 = 1.0 / np.sqrt(gg - l10 * l10)
    l21 = (gb - l20 * l10) * d1
    d2 = 1.0 / np.sqrt(bb - l20 * l20 - l21 * l21)
    for k in range(9):
        whitened[k, 0] *= d0
        whitened[k, 1] = (whitened[k, 1] - l10 * whitened[k, 0]) * d1
        whitened[k, 2] = (whitened[k, 2] - l20 * whitened[k, 0] - l21 * whitened[k, 1]) * d2


@kernel
def laplacian(
    picture: Array, numbers: Array, scale: float, rows: Array, centres: Array, top: int,
    bottom: int, first: int, last: int,
) -> None:  # fmt: skip
    """Adds windows to the rows of unknown pixels in the picture's rows `top` to `bottom`.

    Args:
        picture: (H, W, 3), padded.
        numbers: int32 (H, W): the number of an unknown pixel, or -1.
        scale: brings colours to 0…1.
        rows: (n, 25); added to.
        centres: of windows, as places; those from `first` to `last` are used.
    """
    white, width = np.empty((9, 3)), picture.shape[1]
    for centre in centres[first:last]:
        y, x = centre // width, centre % width
        whiten(picture, y, x, scale, white)
        for i in range(9):
            yi = y + i // 3 - 1
            number = numbers[yi, x + i % 3 - 1]
            if number < 0 or yi < top or yi >= bottom:
                continue
            corner = (2 - i // 3) * 5 + 2 - i % 3
            for j in range(9):
                like = white[i, 0] * white[j, 0]
                like += white[i, 1] * white[j, 1]
                like += white[i, 2] * white[j, 2]
                # A lone pixel's own value is about 1e-7; 1 less almost 1 would be rounding alone.
                value = (8.0 - like if i == j else -1.0 - like) / 9
                rows[number, corner + (j // 3) * 5 + j % 3] += value


@kernel
def split_known(
    rows: Array, place: Array, numbers: Array, full: Array, offsets: Array, side: Array,
    first: int, last: int,
) -> None:  # fmt: skip
    """Moves the known neighbours to the right hand side: their alpha times their coefficients.

    Args:
        numbers, full: flat, padded: the number or -1; whether alpha is known to be 1.
        side: float64 (n,), filled.
    """
    for i in range(first, last):
        total = 0.0
        for k in range(STENCIL):
            at = place[i] + offsets[k]
            if numbers[at] < 0:
                if full[at]:
                    total -= rows[i, k]
                rows[i, k] = 0.0
        side[i] = total


@kernel
def multiply(
    rows: Array, place: Array, offsets: Array, vector: Array, result: Array, first: int, last: int
) -> float:
    """result = L · vector, and their inner product; result (n,), vector padded and flat."""
    inner = 0.0
    for i in range(first, last):
        base, total = place[i], 0.0
        for k in range(STENCIL):
            total += rows[i, k] * vector[base + offsets[k]]
        result[i] = total
        inner += total * vector[base]
    return inner


@kernel
def sweep_down(
    rows: Array, place: Array, offsets: Array, right: Array, vector: Array, start: int,
    first: int, last: int,
) -> None:  # fmt: skip
    """Gauss-Seidel from 0 on, within the pixels at `start` and after: vector = (D + lower)⁻¹ right.

    Nothing is read from before `start`: another thread is at work there.
    """
    for i in range(first, last):
        base, total = place[i], right[i]
        for k in range(12):
            at = base + offsets[k]
            if at >= start:
                total -= rows[i, k] * vector[at]
        vector[base] = total / rows[i, 12]


@kernel
def sweep_up(
    rows: Array, place: Array, offsets: Array, right: Array, vector: Array, scratch: Array,
    stop: int, first: int, last: int,
) -> None:  # fmt: skip
    """The same upwards, before `stop`: vector += scratch + (D + upper)⁻¹ right.

    What scratch held is lost.
    """
    for i in range(last - 1, first - 1, -1):
        base, total = place[i], right[i]
        for k in range(13, STENCIL):
            at = base + offsets[k]
            if at < stop:
                total -= rows[i, k] * scratch[at]
        value = total / rows[i, 12]
        vector[base] += scratch[base] + value
        scratch[base] = value


@kernel
def step_along(
    place: Array, length: float, along: Array, product: Array, alpha: Array, residual: Array,
    first: int, last: int,
) -> None:  # fmt: skip
    """alpha += length · along, residual -= length · product."""
    for i in range(first, last):
        alpha[i] += length * along[place[i]]
        residual[i] -= length * product[i]


@kernel
def turn(place: Array, share: float, better: Array, along: Array, first: int, last: int) -> None:
    """along = better + share · along."""
    for i in range(first, last):
        along[place[i]] = better[place[i]] + share * along[place[i]]


@kernel
def inner(place: Array, vector: Array, values: Array, first: int, last: int) -> float:
    total = 0.0
    for i in range(first, last):
        total += vector[place[i]] * values[i]
    return total


@kernel
def subtract(values: Array, other: Array, first: int, last: int) -> None:
    for i in range(first, last):
        values[i] -= other[i]
