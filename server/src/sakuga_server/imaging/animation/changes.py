"""Which part of a frame differs from the one before: no more of it is written."""

from dataclasses import dataclass

import numpy as np

from sakuga_server.imaging.animation.compose import Rect
from sakuga_server.imaging.picture import Array, Picture

# Of a part whose changes lie far apart, blocks of so many pixels that show no change are left
# transparent, if they are half of it. On drawings, files of two patches that move were a tenth as
# large. Single pixels instead of blocks made those of pans and turns up to 30 % larger, and blocks
# from a quarter on up to 7 %.
BLOCK, UNCHANGED = 8, 0.5


@dataclass(frozen=True)
class Part:
    """What a frame changes."""

    rect: Rect
    """Of the canvas; at least one pixel."""
    picture: Picture
    """Its pixels, in arrays of its own."""
    over: bool = False
    """Whether its transparent pixels leave the canvas as it is; else it replaces that."""


class Changes:
    """Finds them from frame to frame. The last one is held, and must not change meanwhile.

    Args:
        step: parts begin at multiples of so many pixels.
        over: whether parts may leave unchanged blocks transparent.
    """

    def __init__(self, step: int = 1, *, over: bool = False) -> None:
        self._step, self._over = step, over
        self._before: Picture | None = None

    def part(self, picture: Picture) -> Part:
        """
        Args:
            picture: RGB, of the same size, type and channels each time.
        """
        before, self._before = self._before, picture
        if before is None:
            rect = Rect(0, 0, picture.width, picture.height)
            return Part(rect, cut(picture, rect))
        changed = _changed(before, picture)
        rect = bounds(changed) or Rect(0, 0, 1, 1)
        rect = Rect(
            rect.left // self._step * self._step, rect.top // self._step * self._step, 1, 1
        ).joined(rect)
        part = Part(rect, cut(picture, rect))
        return self._thinned(part, changed[rect.window]) if self._over else part

    def _thinned(self, part: Part, changed: Array) -> Part:
        written = _blocks(changed)
        if written.mean() > 1 - UNCHANGED:
            return part
        colour, alpha = part.picture.colour, part.picture.alpha
        full = np.iinfo(colour.dtype).max
        if alpha is not None and (alpha[written] != full).any():
            return part  # laid over, it would be mixed
        colour[~written] = 0
        shown = np.where(written, full, 0).astype(colour.dtype)
        return Part(part.rect, Picture(colour, shown), over=True)


def cut(picture: Picture, rect: Rect) -> Picture:
    """A copy of a part."""
    alpha = None if picture.alpha is None else picture.alpha[rect.window].copy()
    return Picture(picture.colour[rect.window].copy(), alpha)


def bounds(mask: Array) -> Rect | None:
    """The smallest one around all that is true; None where nothing is."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    left, right = int(columns[0]), int(columns[-1]) + 1
    return Rect(left, top, right - left, bottom - top)


def _changed(before: Picture, after: Picture) -> Array:
    """Where two pictures differ: bool (H, W). A held frame is often the same array."""
    changed: Array = np.zeros(after.colour.shape[:2], bool)
    if before.colour is not after.colour:
        differs = before.colour != after.colour
        changed |= differs[..., 0] | differs[..., 1] | differs[..., 2]
    if before.alpha is not None and after.alpha is not None and before.alpha is not after.alpha:
        changed |= before.alpha != after.alpha
    return changed


def _blocks(changed: Array) -> Array:
    """`changed`, true for the whole of each block that has a change."""
    height, width = changed.shape
    padded = np.pad(changed, ((0, -height % BLOCK), (0, -width % BLOCK)))
    grid = padded.reshape(len(padded) // BLOCK, BLOCK, -1, BLOCK).any(axis=(1, 3))
    spread: Array = grid.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)
    return spread[:height, :width]
