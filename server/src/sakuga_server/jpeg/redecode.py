"""Decoding anew what was once a JPEG, out of its pixels.

From the grid and the quality follow the quantisation steps; each coefficient is taken back to the
multiple that it came from, and `dequantise` does the rest. Chroma was shrunk before, or wasn't:
whichever gives multiples is the truth, and where neither does, it is left alone.
"""

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np

from sakuga_server.imaging.picture import Array
from sakuga_server.jpeg.block_grid import CERTAIN, COARSE, NEAR, whole
from sakuga_server.jpeg.coefficients import BLOCK, CHROMINANCE, Plane, rgb_of, tables, ycc_of
from sakuga_server.jpeg.dequantise import forward_dct, smoothest

# How libjpeg's triangle filter, and averaging two by two after it, spread a sample of chroma.
SPREAD = np.array([1 / 8, 3 / 4, 1 / 8], np.float32)
EDGES = cv2.BORDER_REPLICATE
SHARPENINGS = 6  # of Van Cittert's iteration, each of which halves what is left at least


def restored(colour: Array, grid: tuple[int, int], quality: int) -> Array:
    """A picture that was once a JPEG, decoded anew.

    Args:
        colour: uint8, (H, W) or (H, W, 3) RGB.
        grid, quality: as `jpeg_grid.find` gives them.
    """
    if colour.ndim == 2:
        gray: Array = colour.astype(np.float32)
        change = _change(gray - 128, grid, tables(quality))
        return np.asarray(np.rint(gray + change).clip(0, 255).astype(np.uint8))
    luma, blue, red = ycc_of(colour)
    return rgb_of(
        luma + _change(luma - 128, grid, tables(quality)),
        blue + _chroma_change(blue, grid, quality),
        red + _chroma_change(red, grid, quality),
    )


def stored(plane: Array, grid: tuple[int, int], steps: Array) -> Plane:
    """What was stored of a plane of samples about 0: the whole blocks of `jpeg_grid.whole`."""
    coefficients = forward_dct(plane[whole(plane.shape, grid)])
    multiples = np.rint(coefficients / steps) * steps
    # Where samples were cut off at black or white, coefficients aren't multiples any more.
    near = np.abs(coefficients - multiples) < 2 * NEAR
    return Plane(np.where(near, multiples, coefficients), steps)


def _change(plane: Array, grid: tuple[int, int], steps: Array) -> Array:
    """What decoding anew adds to a plane of samples about 0."""
    change: Array = np.zeros_like(plane)
    place, blocks = whole(plane.shape, grid), stored(plane, grid, steps)
    change[place] = smoothest(blocks.coefficients, blocks.steps) - plane[place]
    return change


@dataclass(frozen=True)
class _Shrunk:
    """Chroma as it may have been stored: its plane, how much smaller it is, and its grid."""

    plane: Array
    times: int
    start: tuple[int, int]
    """x and y of the first sample, in the picture's pixels."""
    grid: tuple[int, int]


def _chroma_change(plane: Array, grid: tuple[int, int], quality: int) -> Array:
    steps = tables(quality, CHROMINANCE)
    guesses = [_Shrunk(plane, 1, (0, 0), grid), *_halved(plane, grid)]
    fits = [_fit(guess, steps) for guess in guesses]
    if max(fits) < CERTAIN:
        return np.zeros_like(plane)
    best = guesses[int(np.argmax(fits))]
    change = _change(best.plane, best.grid, steps)
    result = np.zeros_like(plane)
    size = change.shape[1] * best.times, change.shape[0] * best.times
    x, y = best.start
    place = slice(y, y + size[1]), slice(x, x + size[0])
    result[place] = cv2.resize(change, size, interpolation=cv2.INTER_LINEAR)
    return result


def _halved(plane: Array, grid: tuple[int, int]) -> list[_Shrunk]:
    """Chroma of half the size, as it was before it was upscaled, with the four grids of 16 pixels
    that a grid of 8 allows."""
    start = grid[0] % 2, grid[1] % 2
    height, width = (
        side // 2 * 2 for side in (plane.shape[0] - start[1], plane.shape[1] - start[0])
    )
    if min(height, width) < 2 * BLOCK:
        return []
    even = plane[start[1] : start[1] + height, start[0] : start[0] + width]
    mean = cv2.resize(even, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    small = mean
    for _ in range(SHARPENINGS):
        small = small + mean - cv2.sepFilter2D(small, -1, SPREAD, SPREAD, borderType=EDGES)
    corners = [((grid[0] - start[0]) // 2 + a, (grid[1] - start[1]) // 2 + b)
               for a, b in product((0, BLOCK // 2), repeat=2)]  # fmt: skip
    return [_Shrunk(small, 2, start, (x % BLOCK, y % BLOCK)) for x, y in corners]


def _fit(guess: _Shrunk, steps: Array) -> float:
    """How many more coefficients are multiples of the steps than chance makes so, in standard
    deviations."""
    coefficients = np.abs(forward_dct(guess.plane[whole(guess.plane.shape, guess.grid)]))
    tells = (coefficients >= steps / 2) & (steps >= COARSE)
    tells[..., 0, 0] = False
    off = np.abs(coefficients - np.rint(coefficients / steps) * steps)
    chance = np.broadcast_to(np.minimum(2 * NEAR / steps, 1), off.shape)[tells]
    hits = (off[tells] < NEAR).sum()
    return float((hits - chance.sum()) / np.sqrt(max((chance * (1 - chance)).sum(), 1e-3)))
