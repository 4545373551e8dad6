"""Decoding JPEG better than its decoder: each DCT coefficient may lie anywhere in its interval.

Of all pictures that a file can stand for, this takes a smooth one: least Huber total variation,
with every coefficient near the middle of its interval and every sample a possible one. The method
is Chambolle and Pock's (2011), whose one step for such bounds is the DCT, a clamp and the inverse.
"""

from math import cos, pi, sqrt

import numpy as np

from sakuga_server.imaging.compiled import kernel, on_all_cores
from sakuga_server.imaging.picture import Array
from sakuga_server.jpeg.coefficients import BLOCK, Jpeg, assembled

# Measured with the anime network on drawn pictures at qualities 10, 30 and 50. Wider intervals,
# or edges kept sharper, come nearer to the original before the network, but not after it: it takes
# the steps of a total variation for lines of the drawing.
REACH = 0.2  # of a step, to either side of the middle
SOFT = 30.0  # levels from pixel to pixel up to which a difference is a slope, not an edge
STEPS = 60

# Step sizes of the two halves; their product times 8, the gradient's squared norm, is 1.
PRIMAL, DUAL = 0.25, 0.5
STRIP = 8  # rows of blocks that a thread takes at once

DCT = np.array(
    [
        [(sqrt(1 / 8) if k == 0 else 0.5) * cos((2 * n + 1) * k * pi / 16) for n in range(BLOCK)]
        for k in range(BLOCK)
    ],
    np.float32,
)
INVERSE = np.ascontiguousarray(DCT.T)


def decode(jpeg: Jpeg) -> Array:
    """The picture of a file: uint8 (H, W, 3) RGB, or (H, W) gray."""
    return assembled(jpeg, [smoothest(p.coefficients, p.steps) for p in jpeg.planes])


def smoothest(coefficients: Array, steps: Array) -> Array:
    """The smoothest plane whose coefficients lie near those given.

    Args:
        coefficients: float32 (rows, columns, 8, 8), of samples about 0.
        steps: float32 (8, 8).

    Returns:
        float32 (8 · rows, 8 · columns), −128…127.
    """
    coefficients = np.ascontiguousarray(coefficients, np.float32)
    plane = inverse_dct(coefficients)
    ahead, down, right = plane.copy(), np.zeros_like(plane), np.zeros_like(plane)
    rows = len(coefficients)
    strips = [(top, min(top + STRIP, rows)) for top in range(0, rows, STRIP)]
    reach = np.float32(REACH) * steps
    for _ in range(STEPS):
        on_all_cores(_ascend, strips, ahead, down, right)
        on_all_cores(_descend, strips, plane, ahead, down, right, coefficients, reach, DCT, INVERSE)
    return plane.clip(-128, 127)


def inverse_dct(coefficients: Array) -> Array:
    rows, columns = coefficients.shape[:2]
    blocks = DCT.T @ coefficients @ DCT
    return np.ascontiguousarray(blocks.swapaxes(1, 2)).reshape(rows * BLOCK, columns * BLOCK)


def forward_dct(plane: Array) -> Array:
    """(rows, columns, 8, 8) of a plane of whole blocks."""
    rows, columns = (side // BLOCK for side in plane.shape)
    blocks = plane.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
    return np.asarray(DCT @ blocks @ DCT.T)


def warm_up() -> None:
    """Compiles the kernels, or loads them from numba's cache."""
    smoothest(np.zeros((1, 1, BLOCK, BLOCK), np.float32), np.ones((BLOCK, BLOCK), np.float32))


@kernel
def _ascend(ahead: Array, down: Array, right: Array, first: int, last: int) -> None:
    """The dual half, of rows of blocks: down and right are the slopes, at most 1 long."""
    height, width = ahead.shape
    dual, shrink = np.float32(DUAL), np.float32(1 / (1 + DUAL * SOFT))
    one, none = np.float32(1), np.float32(0)
    for y in range(first * BLOCK, last * BLOCK):
        below = min(y + 1, height - 1)
        for x in range(width):
            to_right = ahead[y, x + 1] - ahead[y, x] if x + 1 < width else none
            a = (down[y, x] + dual * (ahead[below, x] - ahead[y, x])) * shrink
            b = (right[y, x] + dual * to_right) * shrink
            length = max(one, np.sqrt(a * a + b * b))
            down[y, x] = a / length
            right[y, x] = b / length


@kernel
def _descend(
    plane: Array, ahead: Array, down: Array, right: Array, coefficients: Array, reach: Array,
    dct: Array, inverse: Array, first: int, last: int,
) -> None:  # fmt: skip
    """The primal half: smoother, then back to what the file allows."""
    block, half = np.empty((BLOCK, BLOCK), np.float32), np.empty((BLOCK, BLOCK), np.float32)
    for row in range(first, last):
        for column in range(plane.shape[1] // BLOCK):
            _smoothed(plane, down, right, row * BLOCK, column * BLOCK, block)
            _product(dct, block, half, False)
            _product(half, dct, block, True)
            for i in range(BLOCK):
                for j in range(BLOCK):
                    middle = coefficients[row, column, i, j]
                    block[i, j] = min(max(block[i, j], middle - reach[i, j]), middle + reach[i, j])
            _product(inverse, block, half, False)
            _product(half, inverse, block, True)
            for i in range(BLOCK):
                for j in range(BLOCK):
                    y, x = row * BLOCK + i, column * BLOCK + j
                    ahead[y, x] = 2 * block[i, j] - plane[y, x]
                    plane[y, x] = block[i, j]


@kernel
def _smoothed(plane: Array, down: Array, right: Array, top: int, left: int, block: Array) -> None:
    """A step along the slopes' divergence, for one block, and no sample darker or lighter than
    black and white."""
    primal, black, white = np.float32(PRIMAL), np.float32(-128), np.float32(127)
    for i in range(BLOCK):
        for j in range(BLOCK):
            y, x = top + i, left + j
            divergence = down[y, x] + right[y, x]
            if y > 0:
                divergence -= down[y - 1, x]
            if x > 0:
                divergence -= right[y, x - 1]
            block[i, j] = min(max(plane[y, x] + primal * divergence, black), white)


@kernel
def _product(a: Array, b: Array, result: Array, transposed: bool) -> None:
    """a · b, or a · bᵀ."""
    for i in range(BLOCK):
        for j in range(BLOCK):
            total = np.float32(0)
            for k in range(BLOCK):
                total += a[i, k] * (b[j, k] if transposed else b[k, j])
            result[i, j] = total
