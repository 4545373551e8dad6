"""The images of a GIF: what has to be drawn, and cleared, from one frame to the next."""

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
from PIL import Image as Pillow

from sakuga_server.imaging.animation import gif
from sakuga_server.imaging.animation.changes import bounds
from sakuga_server.imaging.animation.compose import Rect
from sakuga_server.imaging.picture import Array

COLOURS = 256
KEEP, CLEAR = 1, 2  # disposals
TABLE_ENDS = 13 + 3 * COLOURS


@dataclass(frozen=True)
class Image:
    """An image block."""

    rect: Rect
    indices: Array
    """uint8, of `rect`."""
    dispose: int
    thinned: Array | None
    """The same, transparent where nothing changes."""

    def encoded(self) -> bytes:
        """The block, by whichever indices take less."""
        rect = self.rect
        head = struct.pack("<BHHHHB", gif.IMAGE, rect.left, rect.top, rect.width, rect.height, 0)
        ways = (self.indices, self.thinned)
        return head + min((_compressed(each) for each in ways if each is not None), key=len)


def images(shown: Iterable[Array], transparent: int | None) -> Iterator[Image]:
    """One for each frame.

    A pixel can become transparent only where the image before is cleared; so that one is enlarged
    to what has to be.

    Args:
        shown: indices of each whole frame, uint8 (H, W).
        transparent: the index that leaves a pixel as it is; None: there is none, in no frame.
    """
    before: Array | None = None  # what is there when the frame is drawn
    for now, after in pairwise(chain(shown, (None,))):
        assert now is not None
        rect = Rect(0, 0, *now.shape[::-1]) if before is None else bounds(now != before)
        gone = None
        if after is not None and transparent is not None:
            gone = bounds((now != transparent) & (after == transparent))
        if gone:
            rect = rect.joined(gone) if rect else gone
        rect = rect or Rect(0, 0, 1, 1)
        indices, thinned = now[rect.window], None
        if before is not None and transparent is not None:
            same = indices == before[rect.window]
            thinned = np.where(same, np.uint8(transparent), indices) if same.any() else None
        yield Image(rect, indices, CLEAR if gone else KEEP, thinned)
        before = now
        if gone:
            before = now.copy()
            before[rect.window] = transparent


def _compressed(indices: Array) -> bytes:
    """The minimum code size, and sub-blocks: what Pillow writes behind the image's descriptor."""
    file = io.BytesIO()
    Pillow.fromarray(indices).save(file, "GIF", optimize=False, interlace=0)
    data = file.getvalue()
    image = next(block for block in gif.blocks(data, TABLE_ENDS, []) if block.kind == gif.IMAGE)
    return data[image.start + 9 : image.stop]
