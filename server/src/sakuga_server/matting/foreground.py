"""Colours of the foreground under soft edges: multi-level estimation (Germer et al. 2020).

Each pixel is alpha · F + (1 - alpha) · B, and both colours change little from pixel to pixel,
least where alpha doesn't change. Small pictures are solved first, larger ones from there. Beyond
`DENSE` pixels, only what lies near soft edges is.
"""

from collections.abc import Callable

import cv2
import numpy as np

from sakuga_server.imaging.compiled import POOL, kernel
from sakuga_server.imaging.picture import Array

# The defaults of PyMatting's estimate_foreground_ml.
SMOOTH = 1e-5
SMALL, SMALL_SWEEPS, SWEEPS = 32, 10, 2
DENSE = 256  # longest side of levels that are solved everywhere: too small for the rest to pay
STRIP = 64  # rows that a thread takes at once


def estimate_foreground(colour: Array, alpha: Array) -> Array:
    """What the foreground's colours are where the background shines through.

    Args:
        colour: uint8 or uint16, (H, W, 3) RGB: the picture.
        alpha: float32 (H, W), 0…1.

    Returns:
        As `colour`; the same as `colour` where alpha is 1 and away from soft edges.
    """
    band = ((alpha > 0) & (alpha < 1)).view(np.uint8)
    result = colour.copy()
    if band.any():
        cover = np.ascontiguousarray(alpha, np.float32)
        found = _solve(colour, cover, band, _averages(colour, alpha))
        wanted, full = cv2.dilate(band, np.ones((3, 3), np.uint8)), np.iinfo(colour.dtype).max
        _strips(store, band.shape[0], found, cover, wanted, result, float(full))
    return result


def warm_up() -> None:
    """Compiles every kernel for both depths, or loads it from numba's cache."""
    alpha = np.tile(np.linspace(0, 1, 12, dtype=np.float32), (12, 1))
    for kind in (np.uint8, np.uint16):
        estimate_foreground(np.zeros((12, 12, 3), kind), alpha)


def _solve(colour: Array, alpha: Array, band: Array, found: Array) -> Array:
    """The colours as float32 (H, W, 6), F and B in 0…1; without meaning away from the band.

    Args:
        found: the same of one pixel, (1, 1, 6), to begin with.
    """
    sizes = _sizes(*alpha.shape)
    masks = _masks(sizes, band)
    scale = 1.0 / np.iinfo(colour.dtype).max
    for size, mask in zip(sizes, masks, strict=True):
        ys, xs = _nearest(size[0], alpha.shape[0]), _nearest(size[1], alpha.shape[1])
        from_y, from_x = _nearest(size[0], found.shape[0]), _nearest(size[1], found.shape[1])
        level = np.empty((*size, 6), np.float32)
        _strips(upscale, size[0], found, mask, from_y, from_x, level)
        sweeps = SMALL_SWEEPS if max(size) <= SMALL else SWEEPS
        for _ in range(sweeps):
            _strips(sweep, size[0], colour, alpha, scale, mask, ys, xs, level)
        found = level
    return found


def _sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Heights and widths of the levels, each about twice the one before."""
    count = max(1, int(np.ceil(np.log2(max(height, width)))))
    shares = [i / count for i in range(count + 1)]
    return [(round(height**share), round(width**share)) for share in shares]


def _masks(sizes: list[tuple[int, int]], band: Array) -> list[Array]:
    """uint8, by level: 2 what is solved, 1 what that looks at, 0 neither."""
    square = np.ones((3, 3), np.uint8)
    wanted: Array = cv2.dilate(band, square)
    masks: list[Array] = []
    for size in reversed(sizes):
        if max(size) <= DENSE:
            masks.append(np.full(size, 2, np.uint8))
            continue
        if size != wanted.shape:
            small = np.zeros(size, np.uint8)
            mark(wanted, _nearest(wanted.shape[0], size[0]), _nearest(wanted.shape[1], size[1]),
                 small)  # fmt: skip
            wanted = small
        around = cv2.dilate(wanted, square)
        masks.append(wanted + around)
        wanted = around
    return masks[::-1]


def _nearest(length: int, source: int) -> Array:
    """Where each of `length` pixels lies among `source` ones."""
    return (np.arange(length) * source // length).astype(np.int32)


def _averages(colour: Array, alpha: Array) -> Array:
    """The mean colours of foreground and background in the whole picture, (1, 1, 6), 0…1."""
    means = [cv2.mean(colour, mask.view(np.uint8))[:3] for mask in (alpha > 0.9, alpha < 0.1)]
    return (np.array(means) / np.iinfo(colour.dtype).max).astype(np.float32).reshape(1, 1, 6)


def _strips(work: Callable[..., None], height: int, *arguments: object) -> None:
    """`work` on all rows. Strips side by side never run at once, so a sweep gives one result."""
    strips = [(top, min(top + STRIP, height)) for top in range(0, height, STRIP)]
    for phase in (strips[::2], strips[1::2]):
        if len(phase) == 1:
            work(*arguments, *phase[0])
        else:
            list(POOL.map(lambda part: work(*arguments, *part), phase))


@kernel
def mark(wanted: Array, ys: Array, xs: Array, small: Array) -> None:
    """Sets what the wanted pixels lie in on a smaller level."""
    for y in range(wanted.shape[0]):
        for x in range(wanted.shape[1]):
            if wanted[y, x]:
                small[ys[y], xs[x]] = 1


@kernel
def upscale(
    small: Array, mask: Array, ys: Array, xs: Array, level: Array, top: int, bottom: int
) -> None:
    for y in range(top, bottom):
        for x in range(mask.shape[1]):
            if mask[y, x]:
                for c in range(6):
                    level[y, x, c] = small[ys[y], xs[x], c]


@kernel
def sweep(
    colour: Array, alpha: Array, scale: float, mask: Array, ys: Array, xs: Array, level: Array,
    top: int, bottom: int,
) -> None:  # fmt: skip
    """Gauss-Seidel: each pixel's 2x2 system for F and B, given those of its four neighbours."""
    height, width = mask.shape
    right = np.empty(6, np.float32)
    for y in range(top, bottom):
        for x in range(width):
            if mask[y, x] != 2:
                continue
            cover = alpha[ys[y], xs[x]]
            rest = np.float32(1) - cover
            for c in range(3):
                shade = colour[ys[y], xs[x], c] * np.float32(scale)
                right[c], right[c + 3] = cover * shade, rest * shade
            pull = np.float32(0)
            for n in range(4):
                ny = min(max(y + (n == 1) - (n == 0), 0), height - 1)
                nx = min(max(x + (n == 3) - (n == 2), 0), width - 1)
                weight = np.float32(SMOOTH) + abs(cover - alpha[ys[ny], xs[nx]])
                pull += weight
                for c in range(6):
                    right[c] += weight * level[ny, nx, c]
            first, both, second = cover * cover + pull, cover * rest, rest * rest + pull
            inverse = np.float32(1) / (first * second - both * both)
            for c in range(3):
                f = (second * right[c] - both * right[c + 3]) * inverse
                b = (first * right[c + 3] - both * right[c]) * inverse
                level[y, x, c] = min(max(f, np.float32(0)), np.float32(1))
                level[y, x, c + 3] = min(max(b, np.float32(0)), np.float32(1))


@kernel
def store(
    found: Array, alpha: Array, wanted: Array, result: Array, full: float, top: int, bottom: int
) -> None:
    """The colours found, in the picture's type, where wanted and alpha is below 1."""
    for y in range(top, bottom):
        for x in range(wanted.shape[1]):
            if wanted[y, x] and alpha[y, x] < 1:
                for c in range(3):
                    result[y, x, c] = int(found[y, x, c] * full + 0.5)
