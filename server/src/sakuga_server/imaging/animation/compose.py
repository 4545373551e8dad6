"""Frames as a viewer shows them: laid onto the canvas one after the other.

One compositor for GIF (GIF89a, 23), APNG (PNG, third edition, 11.3.6.2) and WebP (RFC 9649, 2.7.1).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import accumulate, pairwise

import numpy as np

from sakuga_server.imaging.picture import Array, Picture, rgb


class Dispose(Enum):
    """What becomes of a frame's rectangle before the next frame is laid on."""

    KEEP = auto()
    CLEAR = auto()
    """Transparent black, whatever background colour the file names, as browsers do."""
    RESTORE = auto()
    """What was there before the frame."""


@dataclass(frozen=True)
class Rect:
    """A part of the canvas, in pixels. It may be empty."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height

    @property
    def window(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def __contains__(self, other: "Rect") -> bool:
        inside = self.left <= other.left and self.top <= other.top
        return inside and other.right <= self.right and other.bottom <= self.bottom

    def clipped(self, width: int, height: int) -> "Rect":
        """The part that lies on a canvas of that size."""
        left, top = min(self.left, width), min(self.top, height)
        right, bottom = min(self.right, width), min(self.bottom, height)
        return Rect(left, top, right - left, bottom - top)

    def joined(self, other: "Rect") -> "Rect":
        """The smallest one that covers both."""
        left, top = min(self.left, other.left), min(self.top, other.top)
        right, bottom = max(self.right, other.right), max(self.bottom, other.bottom)
        return Rect(left, top, right - left, bottom - top)


@dataclass(frozen=True)
class Frame:
    """One frame of a file, still to be decoded."""

    rect: Rect
    """Of the canvas. A GIF's may stick out of it; what does isn't shown."""
    decode: Callable[[], Picture]
    """The pixels of `rect`, gray or RGB; raises BadImage."""
    duration: int = 0
    """Milliseconds."""
    dispose: Dispose = Dispose.KEEP
    over: bool = False
    """Whether its transparency shows what was there before; else it replaces that."""


@dataclass(frozen=True)
class Container:
    """What is found in a file before any pixel is decoded: a canvas, and the frames laid on it."""

    width: int
    height: int
    frames: Sequence[Frame]
    """As far as the file is whole."""
    loop: int
    """How many times it plays; 0: for ever."""
    background: tuple[int, int, int, int] | None = None
    """Red, green, blue and alpha, in 8 bits, where the file names one."""
    deep: bool = False
    """Whether a sample has 16 bits."""
    warnings: list[str] = field(default_factory=list)
    """Of damage."""
    notes: list[str] = field(default_factory=list)
    """What an animation of these frames leaves out."""


def whole_milliseconds(durations: Iterable[float]) -> list[int]:
    """Durations rounded so that each makes up for what the ones before were rounded by."""
    ends = (round(end) for end in accumulate(durations, initial=0.0))
    return [end - start for start, end in pairwise(ends)]


def composed(container: Container) -> Iterator[Picture]:
    """Each frame with all that shows through it, (H, W, 3) with alpha, in arrays of its own."""
    canvas = _Canvas(container.width, container.height, container.deep)
    for frame in container.frames:
        before = canvas.part(frame.rect) if frame.dispose is Dispose.RESTORE else None
        canvas.draw(frame)
        yield Picture(canvas.colour.copy(), canvas.alpha.copy())
        if frame.dispose is Dispose.CLEAR:
            canvas.replace(frame.rect, (0, 0))
        elif before:
            canvas.replace(frame.rect, before)


class _Canvas:
    """It begins transparent."""

    def __init__(self, width: int, height: int, deep: bool) -> None:
        self.alpha = np.zeros((height, width), np.uint16 if deep else np.uint8)
        self.colour = np.zeros((height, width, 3), self.alpha.dtype)

    def part(self, rect: Rect) -> tuple[Array, Array]:
        return self.colour[rect.window].copy(), self.alpha[rect.window].copy()

    def replace(self, rect: Rect, by: tuple[Array | int, Array | int]) -> None:
        self.colour[rect.window], self.alpha[rect.window] = by

    def draw(self, frame: Frame) -> None:
        picture, colour, alpha = frame.decode(), *self._under(frame.rect)
        size = slice(0, alpha.shape[0]), slice(0, alpha.shape[1])  # which the canvas clips
        new = rgb(picture.colour)[size]
        if picture.alpha is None:
            colour[...], alpha[...] = new, np.iinfo(alpha.dtype).max
        elif frame.over:
            _lay_over(colour, alpha, new, picture.alpha[size])
        else:
            colour[...], alpha[...] = new, picture.alpha[size]

    def _under(self, rect: Rect) -> tuple[Array, Array]:
        return self.colour[rect.window], self.alpha[rect.window]


def _lay_over(colour: Array, alpha: Array, new: Array, new_alpha: Array) -> None:
    """`new` over `colour`, neither premultiplied; what is written is rounded to the nearest."""
    full = np.iinfo(alpha.dtype).max
    opaque = new_alpha == full
    np.copyto(colour, new, where=opaque[..., None])
    np.copyto(alpha, full, where=opaque)
    mixed = np.nonzero((new_alpha > 0) & ~opaque)
    if not len(mixed[0]):
        return
    above = new_alpha[mixed].astype(np.int64) * full
    below = alpha[mixed].astype(np.int64) * (full - new_alpha[mixed].astype(np.int64))
    total = above + below
    sums = new[mixed] * above[:, None] + colour[mixed] * below[:, None]
    colour[mixed] = (sums + total[:, None] // 2) // total[:, None]
    alpha[mixed] = (total + full // 2) // full
