"""Tiles: windows of a picture that a network sees one by one, as if it saw the whole.

A window shows the network a padding around the part that is kept. Where the padding is as wide as
the network's receptive field, and the picture's own borders stay borders, the kept parts put
together are exactly what the whole picture would give.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np

from sakuga_core.protocol import Inner
from sakuga_server.imaging.picture import Array

# Windows' sides are multiples of this where the picture is long enough: pictures of different
# sizes then have windows of one shape more often, and Triton can join those into one batch.
SIDE_STEP = 16


@dataclass(frozen=True)
class Span:
    """One axis of a tile, in pixels of the input."""

    start: int
    """Where the window begins…"""
    stop: int
    """…and ends: what the network sees."""
    keep_start: int
    """Where the part that is kept begins…"""
    keep_stop: int
    """…and ends."""

    @property
    def window(self) -> slice:
        return slice(self.start, self.stop)

    @property
    def kept(self) -> slice:
        return slice(self.keep_start, self.keep_stop)

    def inner(self, scale: int, trimmed: int = 0) -> slice:
        """The kept part, in pixels of the window's result, which may lack so many pixels of the
        input where it begins."""
        first = self.start + trimmed
        return slice((self.keep_start - first) * scale, (self.keep_stop - first) * scale)

    def target(self, scale: int) -> slice:
        """The kept part, in pixels of the whole result."""
        return slice(self.keep_start * scale, self.keep_stop * scale)


def split(
    height: int, width: int, tile_size: int, padding: int, multiple: int = 1
) -> Iterator[tuple[Span, Span]]:
    """The tiles of a picture, as (rows, columns), row by row."""
    rows, columns = (spans(length, tile_size, padding, multiple) for length in (height, width))
    return product(rows, columns)


def around(
    rows: Span, columns: Span, wanted: Array, padding: int, multiple: int = 1, block: int = 1
) -> tuple[Span, Span] | None:
    """A tile, less what of it isn't wanted at its sides; None where nothing is.

    Args:
        wanted: of the whole picture, not 0 where its result is wanted: (H, W), or (H / block,
            W / block), where one sample stands for a square of pixels.
        padding, multiple: as for `spans`.
    """
    part = wanted[blocks(rows.kept, block), blocks(columns.kept, block)]
    tall, wide = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
    if not len(tall):
        return None
    step = math.lcm(SIDE_STEP, multiple)
    return _shrunk(rows, tall, padding, step, block), _shrunk(columns, wide, padding, step, block)


def blocks(pixels: slice, block: int) -> slice:
    """The blocks of pixels in which some lie."""
    return slice(pixels.start // block, -(-pixels.stop // block))


def _shrunk(span: Span, found: Array, padding: int, step: int, block: int) -> Span:
    """To the kept blocks from the first to the last found; windows begin and end at multiples of a
    step, so that small movements change none."""
    before = span.keep_start // block
    keep_start = max(span.keep_start, (before + int(found[0])) * block)
    keep_stop = min(span.keep_stop, (before + int(found[-1]) + 1) * block)
    start, stop = keep_start - padding, keep_stop + padding
    return Span(
        max(span.start, start // step * step),
        min(span.stop, -(-stop // step) * step),
        keep_start,
        keep_stop,
    )


def padded(span: Span, padding: int, length: int) -> Span:
    """What a tile keeps, in a window that sees no more beyond it than the padding.

    Args:
        length: of the picture.
    """
    start, stop = max(span.keep_start - padding, 0), min(span.keep_stop + padding, length)
    return Span(start, stop, span.keep_start, span.keep_stop)


def inner_sides(rows: Span, columns: Span, height: int, width: int) -> Inner:
    """Of a window of a picture, which sides lie inside of it."""
    return rows.start > 0, rows.stop < height, columns.start > 0, columns.stop < width


def spans(length: int, tile_size: int, padding: int, multiple: int = 1) -> list[Span]:
    """One axis cut into windows of one size, as few and as small as `tile_size` allows.

    Args:
        length: of the axis, in pixels.
        tile_size: most pixels that a window in the middle of a picture keeps. A window is at most
            `tile_size + 2 * padding` long, so up to that length a picture stays whole.
        padding: pixels that a window sees beyond what it keeps, except at the picture's border.
        multiple: of what windows begin at, and are long: `padding` is rounded up to it, `tile_size`
            down. The last window ends with the picture, whatever its length.

    Returns:
        Spans whose kept parts cover 0…length once each, in order.
    """
    blocks = _blocks(
        -(-length // multiple), max(1, tile_size // multiple), -(-padding // multiple), multiple
    )
    return [_in_pixels(span, multiple, length) for span in blocks]


def _blocks(length: int, tile: int, padding: int, multiple: int) -> list[Span]:
    """The same in blocks of `multiple` pixels, all of which are whole."""
    longest, step = tile + 2 * padding, -(-SIDE_STEP // multiple)
    if length <= longest:
        return [Span(0, length, 0, length)]
    count = -(-(length - 2 * padding) // tile)
    shortest = -(-(length + 2 * padding * (count - 1)) // count)
    return spread(length, min(-(-shortest // step) * step, longest), count)


def _in_pixels(span: Span, multiple: int, length: int) -> Span:
    edges = (span.start, span.stop, span.keep_start, span.keep_stop)
    return Span(*(min(edge * multiple, length) for edge in edges))


def spread(length: int, window: int, count: int) -> list[Span]:
    """`count` windows of one size, evenly over an axis, each cut amid what neighbours share."""
    if count == 1:
        return [Span(0, length, 0, length)]
    starts = [i * (length - window) // (count - 1) for i in range(count)]
    inner = [(left + window + right) // 2 for left, right in pairwise(starts)]
    cuts = [0, *inner, length]
    return [Span(starts[i], starts[i] + window, cuts[i], cuts[i + 1]) for i in range(count)]
