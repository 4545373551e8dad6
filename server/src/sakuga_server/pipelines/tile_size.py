"""The size of tiles with which the least has to be computed.

Large tiles see less padding; small ones can be left out, where nothing is to be seen, or where a
frame is as the one before. The padding makes up for it: a network that sees far needs large tiles.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sakuga_core.networks.facts import NetworkFacts
from sakuga_server.imaging.alpha import boundary, seen
from sakuga_server.imaging.picture import Array, Picture
from sakuga_server.imaging.tiling import Span, around, blocks

SIZES = (512, 256, 128, 64)
BLOCK = 16  # pixels; in so large squares pictures are compared

# What a tile costs beside its pixels, in pixels: its calls take about 3 ms of a CPU, in which the
# fastest network computes so many.
OVERHEAD = 1024


class Request(Protocol):
    """What of a request tells which tiles there can be."""

    tile_size: int

    @property
    def facts(self) -> NetworkFacts: ...
    def split(self, height: int, width: int, size: int | None = None) -> list[Any]: ...


@dataclass(frozen=True)
class Blocks:
    """A frame, in squares of BLOCK pixels."""

    changed: Array
    """Whether a square isn't as in the frame before: bool (H / BLOCK, W / BLOCK)."""
    visible: Array
    """Whether something of it is to be seen."""


def tile_sizes(pictures: Iterable[Picture], count: int, request: Request) -> tuple[int, int]:
    """The sizes of tiles for the colours and the transparency of a request, in pixels, at most its
    own.

    Args:
        pictures: the first frames of an animation, all of one size; or a still picture.
        count: how many frames there are.
    """
    if request.facts.side is not None or request.facts.means:  # which have to see all of it
        return request.tile_size, request.tile_size
    colours, alphas = zip(*_blocks(pictures), strict=True)
    return _cheapest(colours, count, request), _cheapest(alphas, count, request)


def _cheapest(frames: Sequence[Blocks], count: int, request: Request) -> int:
    facts = request.facts
    far = facts.receptive_field, facts.multiple, facts.trims
    height, width = (side * BLOCK for side in frames[0].changed.shape)
    sizes = (request.tile_size, *(size for size in SIZES if size < request.tile_size))

    def cost(size: int) -> float:
        tiles = request.split(height, width, size)
        first, *others = (_cost(tiles, frame, *far) for frame in frames)
        return first + (count - 1) * sum(others) / max(len(others), 1)

    return min(sizes, key=cost)


def _blocks(pictures: Iterable[Picture]) -> Iterator[tuple[Blocks, Blocks]]:
    """Of the colours of each frame, and of its transparency, where what isn't an edge is known."""
    before: Picture | None = None
    for picture in pictures:
        shape = picture.colour.shape[:2]
        changed = _any(np.ones(shape, bool) if before is None else _changed(picture, before))
        if picture.alpha is None:
            visible, edges = np.ones_like(changed), np.zeros_like(changed)
        else:
            visible, edges = _any(seen(picture.alpha)), _any(boundary(picture.alpha))
        yield Blocks(changed, visible), Blocks(changed, edges)
        before = picture


def _changed(picture: Picture, before: Picture) -> Array:
    changed: Array = picture.colour != before.colour
    changed = changed.any(axis=2) if changed.ndim == 3 else changed
    if picture.alpha is None or before.alpha is None:
        return changed
    either: Array = changed | (picture.alpha != before.alpha)
    return either


def _any(pixels: Array) -> Array:
    """Whether a square has a pixel that isn't 0."""
    height, width = (-(-side // BLOCK) for side in pixels.shape)
    padded = np.zeros((height * BLOCK, width * BLOCK), bool)
    padded[: pixels.shape[0], : pixels.shape[1]] = pixels
    result: Array = padded.reshape(height, BLOCK, width, BLOCK).any(axis=(1, 3))
    return result


def _cost(
    tiles: list[tuple[Span, Span]], frame: Blocks, padding: int, multiple: int, trims: bool
) -> float:
    """The pixels that a frame's tiles take of the network."""
    total = 0.0
    for tile in tiles:
        seen = around(*tile, frame.visible, padding, multiple, BLOCK)
        if seen and frame.changed[*(blocks(span.window, BLOCK) for span in seen)].any():
            total += _pixels(*seen, trims) + OVERHEAD
    return total


def _pixels(rows: Span, columns: Span, trims: bool) -> float:
    """Of a window; of networks that drop its padding on the way, about half of that."""
    window = (rows.stop - rows.start) * (columns.stop - columns.start)
    kept = (rows.keep_stop - rows.keep_start) * (columns.keep_stop - columns.keep_start)
    return (window + kept) / 2 if trims else window
