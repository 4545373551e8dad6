"""JPEG compression that a picture went through before it became the file it is now.

Two traces are left in the pixels: steps at the borders of blocks, eight pixels apart, which tell
where the grid lies; and DCT coefficients that are multiples of the quantisation steps, which tell
the quality. The second is the proof: a drawing may have lines eight pixels apart, but its
coefficients aren't multiples of a table that was never used.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np

from sakuga_server.imaging.compiled import kernel, on_all_cores
from sakuga_server.imaging.picture import Array
from sakuga_server.jpeg.coefficients import BLOCK, tables
from sakuga_server.jpeg.dequantise import forward_dct

TILE = 16  # side of a tile, in blocks
QUALITIES = np.arange(5, 91)
# Of finer steps nearly any coefficient is a multiple.
COARSE = 5.0
# How far a coefficient may be from a multiple: samples were rounded twice, as YCbCr and as RGB,
# which leaves 0.35 levels of deviation in an orthonormal DCT.
NEAR = 1.0
# A pattern repeats its coefficients, which proves nothing: each value of each counts so often.
REPEATS, HIGHEST = 2, 1023
# How many more of a tile's coefficients are multiples than chance gives, in standard deviations.
# On clean drawings the best of all tiles, grids and qualities reaches 6.0; compressed ones 8 and
# more, line art at quality 10 least. Once one tile has proven grid and quality, others need less.
CERTAIN, LIKELY = 7.0, 3.5
FEW = 24  # coefficients with which a tile can't tell
MOST = 0.8  # of the tiles that can tell: if more are likely, it is the whole picture
CANDIDATES = 3  # on each axis, of the grid's phases that most tiles vote for
SAMPLE = 8  # tiles on which every grid is tried, if none of these is it


@dataclass(frozen=True)
class Trace:
    """A part of a picture that was once a JPEG."""

    box: tuple[int, int, int, int]
    """x, y, width, height."""
    grid: tuple[int, int]
    """x and y, modulo 8, of the corners of blocks."""
    quality: int
    share: float
    """Of the coefficients that tell: how many are multiples."""


def find(luma: Array) -> list[Trace]:
    """The parts of a picture that were compressed, by one quality and grid.

    Args:
        luma: float32 or uint8 (H, W), 0…255.
    """
    if min(luma.shape) < 2 * BLOCK:
        return []
    luma = luma.astype(np.float32)
    grid, best = _best(luma, _grids(luma))
    if best.deviations.max() < CERTAIN:
        grid, _ = _best(_sample(luma), [divmod(number, BLOCK) for number in range(BLOCK**2)])
        best = _fits(luma, grid)
    if best.deviations.max() < CERTAIN:
        return []
    certain = np.where(best.deviations > CERTAIN, best.deviations, 0)
    index = int(certain.sum(axis=(0, 1)).argmax())
    return _traces(luma.shape, grid, index, best)


def _best(luma: Array, grids: list[tuple[int, int]]) -> tuple[tuple[int, int], "_Fits"]:
    """The grid with the tile that fits best."""
    fits = {grid: _fits(luma, grid) for grid in grids}
    grid = max(fits, key=lambda grid: float(fits[grid].deviations.max()))
    return grid, fits[grid]


def _sample(luma: Array) -> Array:
    """The tiles with most in them, one below the other: few enough to try every grid on."""
    side = TILE * BLOCK
    if min(luma.shape) < side:
        return luma
    busy = np.abs(np.diff(luma, axis=1, prepend=luma[:, :1])).astype(np.float32)
    rows, columns = (length // side for length in luma.shape)
    sums = cv2.resize(
        busy[: rows * side, : columns * side], (columns, rows), interpolation=cv2.INTER_AREA
    )
    best = np.argsort(-np.atleast_2d(sums).ravel())[:SAMPLE]
    corners = [(int(index) // columns * side, int(index) % columns * side) for index in best]
    return np.vstack([luma[y : y + side, x : x + side] for y, x in corners])


def whole(shape: tuple[int, ...], grid: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns that whole blocks cover."""
    starts = grid[1], grid[0]
    counts = [(side - start) // BLOCK for side, start in zip(shape, starts, strict=True)]
    rows, columns = (slice(s, s + n * BLOCK) for s, n in zip(starts, counts, strict=True))
    return rows, columns


def _grids(luma: Array) -> list[tuple[int, int]]:
    """Where the grid may lie, x and y: all pairs of what most tiles vote for, and where it lies in
    pictures that weren't cut."""
    side = TILE * BLOCK
    votes: tuple[Counter[int], Counter[int]] = Counter(), Counter()
    across, down = _steps(luma), _steps(luma.T).T
    for top in range(0, luma.shape[0], side):
        for left in range(0, luma.shape[1], side):
            window = slice(top, top + side), slice(left, left + side)
            for axis, steps in enumerate((across, down)):
                phase, weight = _phase(steps[window].sum(axis=axis))
                votes[axis][phase] += weight
    likely = ([phase for phase, _ in axis.most_common(CANDIDATES)] for axis in votes)
    return list(dict.fromkeys([(0, 0), *((x, y) for x, y in product(*likely))]))


def _steps(luma: Array) -> Array:
    """At each column, how much larger the step from its left neighbour is than those beside it."""
    step = np.abs(np.diff(luma, axis=1, prepend=luma[:, :1]))
    beside = np.zeros_like(step)
    beside[:, 1:-1] = (step[:, :-2] + step[:, 2:]) / 2
    return np.asarray(np.maximum(step - beside, 0))


def _phase(steps: Array) -> tuple[int, int]:
    """The phase with the largest steps, and how they compare with the others', in hundredths."""
    sums = np.array([steps[p::BLOCK].mean() if len(steps) > p else 0 for p in range(BLOCK)])
    best = int(sums.argmax())
    others = np.delete(sums, best).mean()
    return best, round(100 * min(sums[best] / max(others, 1e-3), 9.0))


@dataclass(frozen=True)
class _Fits:
    """How well each tile fits each quality, float32 (rows, columns, qualities)."""

    deviations: Array
    """How much better than by chance."""
    shares: Array
    """Of the coefficients that tell, how many are multiples."""
    numbers: Array
    """How many tell."""


def _fits(luma: Array, grid: tuple[int, int]) -> _Fits:
    coefficients = np.ascontiguousarray(forward_dct(luma[whole(luma.shape, grid)] - 128))
    steps = np.stack([tables(int(quality)) for quality in QUALITIES])
    shape = [-(-side // TILE) for side in coefficients.shape[:2]]
    counts = np.zeros((*shape, len(QUALITIES), 4), np.float32)
    on_all_cores(_count, [(row, row + 1) for row in range(shape[0])], coefficients, steps, counts)
    number, hits, expected, variance = (counts[..., i] for i in range(4))
    deviations = (hits - expected) / np.sqrt(np.maximum(variance, 1e-3)) * (number >= FEW)
    return _Fits(deviations, hits / np.maximum(number, 1), number)


@kernel
def _count(coefficients: Array, steps: Array, counts: Array, first: int, last: int) -> None:
    """For rows of tiles: how many coefficients tell, how many are multiples, how many of them
    chance would make so, and that number's variance."""
    rows, columns = coefficients.shape[:2]
    for row in range(first, last):
        for tile in range(counts.shape[1]):
            seen = np.zeros((BLOCK, BLOCK, HIGHEST + 1), np.uint8)
            for y in range(row * TILE, min((row + 1) * TILE, rows)):
                for x in range(tile * TILE, min((tile + 1) * TILE, columns)):
                    for i in range(BLOCK):
                        for j in range(BLOCK):
                            value = abs(coefficients[y, x, i, j])
                            level = min(int(value + 0.5), HIGHEST)
                            if i + j == 0 or value < COARSE / 2 or seen[i, j, level] == REPEATS:
                                continue
                            seen[i, j, level] += 1
                            _judge(value, steps[:, i, j], counts[row, tile])


@kernel
def _judge(value: float, steps: Array, counts: Array) -> None:
    for q in range(len(steps)):
        step = steps[q]
        if step >= COARSE and value >= step / 2:
            chance = 2 * NEAR / step
            counts[q, 0] += 1
            counts[q, 1] += abs(value - round(value / step) * step) < NEAR
            counts[q, 2] += chance
            counts[q, 3] += chance * (1 - chance)


def _traces(shape: tuple[int, ...], grid: tuple[int, int], index: int, fits: _Fits) -> list[Trace]:
    """All of the picture, or neighbouring tiles that fit, each group as one box."""
    deviations, shares = fits.deviations[..., index], fits.shares[..., index]
    telling = fits.numbers[..., index] >= FEW
    likely = telling & (deviations > LIKELY)
    if likely.sum() > MOST * telling.sum():
        likely = np.ones_like(likely)
    _, labels = cv2.connectedComponents(likely.astype(np.uint8))
    found = []
    for label in np.unique(labels[deviations > CERTAIN]):
        rows, columns = np.nonzero(labels == label)
        x, width = _reach(columns, grid[0], labels.shape[1], shape[1])
        y, height = _reach(rows, grid[1], labels.shape[0], shape[0])
        part = float(shares[(labels == label) & telling].mean())
        found.append(Trace((x, y, width, height), grid, int(QUALITIES[index]), part))
    return found


def _reach(tiles: Array, start: int, count: int, side: int) -> tuple[int, int]:
    """From the tiles on an axis to pixels: where they begin, and how many they cover."""
    first, last = int(tiles.min()), int(tiles.max()) + 1
    # What lies before the first whole block, and behind the last one, was in cut blocks.
    left = 0 if first == 0 else start + first * TILE * BLOCK
    right = side if last == count else start + last * TILE * BLOCK
    return left, right - left


def warm_up() -> None:
    """Compiles the kernels, or loads them from numba's cache."""
    find(np.zeros((2 * BLOCK, 2 * BLOCK), np.uint8))
