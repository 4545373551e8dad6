"""Tiles of a network that takes one size only and sees the whole of a tile: overlap and blend.

Such tiles disagree where they meet, so their results are mixed, by weights that sum to one at every
pixel. Nothing here runs a network.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Literal

import cv2
import numpy as np

from sakuga_server.imaging import tiling
from sakuga_server.imaging.picture import Array

Overlap = Literal["none", "window", "reference"]

# Pixels of the input over which two neighbours mix. Of AuraSR's 64 that asks for 25 tiles of a
# 256x256 picture; twice as many would ask for 49, and AuraSR's own two passes take 41.
MIX = 16

STEPS = 257  # 16-bit levels in one of 8 bits


@dataclass(frozen=True)
class Place:
    """One tile."""

    top: int
    left: int
    """Of the padded picture, in its pixels."""
    weights: Array
    """What the result counts: float32 (scale·side, scale·side)."""


@dataclass(frozen=True)
class Layout:
    """All tiles of a picture."""

    height: int
    width: int
    """Of the picture with what is added at its bottom and right…"""
    margin: int
    """…and of what is then added all around, in pixels."""
    side: int
    scale: int
    places: list[Place]
    """From the top; their weights sum to one wherever the picture is."""

    def padded(self, pixels: Array) -> Array:
        """`pixels` with all that is added: mirrored, without the border pixels themselves, as often
        as it takes."""
        bottom, right = self.height - pixels.shape[0], self.width - pixels.shape[1]
        added = _mirrored(pixels, 0, bottom, 0, right)
        return _mirrored(added, *[self.margin] * 4)

    def window(self, padded: Array, place: Place) -> Array:
        """What the network sees of a padded picture."""
        rows, columns = (slice(at, at + self.side) for at in (place.top, place.left))
        return padded[rows, columns]


def _mirrored(pixels: Array, *added: int) -> Array:
    """Pixels added at the top, bottom, left and right."""
    if not any(added):
        return pixels
    top, bottom, left, right = added
    return cv2.copyMakeBorder(pixels, top, bottom, left, right, cv2.BORDER_REFLECT_101)


def layout(height: int, width: int, side: int, scale: int, overlap: Overlap) -> Layout:
    """The tiles of a picture.

    Args:
        height: of the picture, in pixels, as `width`.
        side: of a tile.
        scale: how many times wider and higher results are.
        overlap: none: side by side, as AuraSR's `upscale_4x` has them. reference: two passes, half
            a tile apart, as its `upscale_4x_overlapped` has them. window: the least tiles that
            overlap by MIX pixels, and mix smoothly over so many.
    """
    match overlap:
        case "none":
            return _plain(height, width, side, scale)
        case "window":
            return _windowed(height, width, side, scale)
        case "reference":
            return _two_passes(height, width, side, scale)


def _plain(height: int, width: int, side: int, scale: int) -> Layout:
    rows, columns = (-(-length // side) * side for length in (height, width))
    ones = np.ones((side * scale, side * scale), np.float32)
    grid = product(range(0, rows, side), range(0, columns, side))
    return Layout(rows, columns, 0, side, scale, [Place(*corner, ones) for corner in grid])


def _windowed(height: int, width: int, side: int, scale: int) -> Layout:
    rows, columns = max(height, side), max(width, side)
    places = [
        Place(y.start, x.start, _window(*_cuts(y, rows), *_cuts(x, columns), side, scale))
        for y, x in product(_spans(rows, side), _spans(columns, side))
    ]
    return Layout(rows, columns, 0, side, scale, places)


def _spans(length: int, side: int) -> list[tiling.Span]:
    return tiling.spread(length, side, max(1, -(-(length - MIX) // (side - MIX))))


def _cuts(span: tiling.Span, length: int) -> tuple[int | None, int | None]:
    """Where its neighbours take over, in pixels of the tile; None at the picture's border."""
    first, last = span.keep_start == 0, span.keep_stop == length
    start, stop = span.keep_start - span.start, span.keep_stop - span.start
    return None if first else start, None if last else stop


@lru_cache(maxsize=64)  # a picture's tiles have a few kinds of neighbours only
def _window(
    top: int | None, bottom: int | None, left: int | None, right: int | None, side: int, scale: int
) -> Array:
    rows, columns = (_axis(*cuts, side, scale) for cuts in ((top, bottom), (left, right)))
    weights: Array = np.outer(rows, columns)
    return weights.astype(np.float32)


def _axis(start: int | None, stop: int | None, side: int, scale: int) -> Array:
    """Weights along one axis: sin² up around `start`, down around `stop`, MIX pixels each."""
    pixels = (np.arange(side * scale) + 0.5) / scale

    def passed(cut: int | None, without: float) -> Array:
        share: Array = np.full_like(pixels, without)
        if cut is not None:
            share = np.sin(np.pi / 2 * np.clip((pixels - cut) / MIX + 0.5, 0, 1)) ** 2
        return share

    weights: Array = passed(start, without=1) * (1 - passed(stop, without=0))
    return weights


def _two_passes(height: int, width: int, side: int, scale: int) -> Layout:
    rows, columns = (-(-length // side) * side for length in (height, width))
    weights, half = _checkerboard(side * scale), side // 2
    first = product(range(half, rows, side), range(half, columns, side))
    second = product(range(0, rows + 1, side), range(0, columns + 1, side))
    places = [Place(*corner, weights) for corner in sorted([*first, *second])]
    return Layout(rows, columns, half, side, scale, places)


def _checkerboard(side: int) -> Array:
    """A Gaussian of deviation 1/2 to the power of 8, over the sum of both passes'."""
    y, x = np.meshgrid(*2 * [np.linspace(-1, 1, side)], indexing="ij")
    exponent = 8 * (x * x + y * y) / (2 * 0.5**2)
    other = np.roll(exponent, (side // 2, side // 2), axis=(0, 1))
    share: Array = 1 / (1 + np.exp(exponent - other))
    return share.astype(np.float32)


class Blend:
    """The whole result, put together from the top; one row of tiles at a time is held as floats.

    Results are added in the order of the layout's places, whichever was ready first: sums of floats
    depend on it, and pictures come out the same every time.
    """

    def __init__(self, layout: Layout, like: Array) -> None:
        self.layout, self.top = layout, 0
        sizes = (layout.height + 2 * layout.margin, layout.width + 2 * layout.margin)
        height, width = (length * layout.scale for length in sizes)
        self.whole = np.empty((height, width, *like.shape[2:]), like.dtype)
        self.strip = np.zeros((layout.side * layout.scale, *self.whole.shape[1:]), np.float32)

    def add(self, place: Place, result: Array) -> None:
        """
        Args:
            result: of the place's tile, int32 (scale·side, scale·side, 3) in 0…65535.
        """
        self._finish(place.top * self.layout.scale)
        values: Array = result.astype(np.float32)
        if self.whole.ndim == 2:
            values = cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)
        weights = place.weights if values.ndim == 2 else place.weights[..., None]
        left = place.left * self.layout.scale
        self.strip[:, left : left + len(self.strip)] += values * weights

    def finished(self) -> Array:
        """The result, of the picture's type, without what was added all around."""
        self._finish(len(self.whole))
        margin = self.layout.margin * self.layout.scale
        return self.whole[margin : len(self.whole) - margin, margin : self.whole.shape[1] - margin]

    def _finish(self, bottom: int) -> None:
        """Rows above `bottom` get no more additions."""
        done = bottom - self.top
        if done == 0:
            return
        step = STEPS if self.whole.dtype == np.uint8 else 1
        self.whole[self.top : bottom] = np.rint(self.strip[:done] / step)
        self.strip[:-done] = self.strip[done:].copy()
        self.strip[-done:] = 0
        self.top = bottom
