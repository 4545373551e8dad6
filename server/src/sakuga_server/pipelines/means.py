"""Means over a whole picture, for networks that weigh channels by them.

A picture of one tile has them by itself. Of several tiles, the peers take each tile's own, which
shows as seams. Here they are gathered from the tiles, layer after layer: each layer's means need
those of the layers before.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import numpy as np

from sakuga_server.imaging import tiling
from sakuga_server.imaging.picture import Array
from sakuga_server.imaging.tiling import Span
from sakuga_server.pipelines.concurrency import all_or_none

Share = Callable[[Span, Span, Array, int], Coroutine[Any, Any, Array]]
"""A window's share of a layer's sums, given the means that are known."""


def unknown(channels: Sequence[int]) -> Array:
    """MEANS of a picture that is one tile; see `protocol.shares`."""
    return np.zeros((1, 1 + sum(channels)), np.float32)


async def gathered(
    tiles: Sequence[tuple[Span, Span]], padding: int, channels: Sequence[int], share: Share
) -> Array:
    """MEANS of a picture of several tiles.

    Args:
        tiles: all of the picture.
        padding: the network's.
        channels: of each layer.
        share: runs the network.
    """
    windows = _exact(tiles, padding)
    known, at = unknown(channels), 1
    for layer, count in enumerate(channels):
        before = known.copy()
        shares = await all_or_none(share(*window, before, layer) for window in windows)
        total = np.sum([each[0] for each in shares], axis=0, dtype=np.float64)
        known[0, at : at + count] = total[:-1] / total[-1]
        known[0, 0] = layer + 1
        at += count
    return known


def _exact(tiles: Sequence[tuple[Span, Span]], padding: int) -> list[tuple[Span, Span]]:
    """The same tiles, their windows no wider than what is kept and the padding, so that shares add
    up: nothing is in two of them."""
    height, width = (max(axis.keep_stop for axis in axes) for axes in zip(*tiles, strict=True))
    return [
        (tiling.padded(rows, padding, height), tiling.padded(columns, padding, width))
        for rows, columns in tiles
    ]
