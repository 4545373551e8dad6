"""What the writers of all formats have in common."""

import io
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from sakuga_core.errors import TooLarge
from sakuga_core.formats import BY_NAME, FileFormat
from sakuga_server.imaging.animation.record import Timing
from sakuga_server.imaging.encode import check_size
from sakuga_server.imaging.metadata import Metadata, fitted, translated
from sakuga_server.imaging.picture import Array, Picture, rgb
from sakuga_server.imaging.samples import to_8_bit
from sakuga_server.imaging.writing import MOST_BYTES


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is known of a file before its first frame."""

    format: str
    """The name of its row in `sakuga_core.formats`."""
    width: int
    """Of the canvas, in pixels, as `height`."""
    height: int
    timing: Timing
    alpha: bool
    """Whether frames may have transparency."""
    deep: bool = False
    """Whether a sample has 16 bits, where the format has so many."""
    metadata: Metadata
    quality: int | None = None
    """1 to 100; None: lossless."""

    @property
    def row(self) -> FileFormat:
        return BY_NAME[self.format]


class Writer(ABC):
    """Takes frames one by one, and gives a file.

    The last frame given is held until the next one; it must not change meanwhile.
    """

    def __init__(self, plan: Plan) -> None:
        """
        Raises:
            TooLarge: the format can't hold so wide or so high a picture.
        """
        check_size(plan.format, plan.width, plan.height)
        self.plan, self.deep = plan, plan.deep and plan.row.deep
        fitting, dropped = fitted(plan.metadata, plan.width, plan.height, gray=False)
        self.metadata, lost = translated(fitting, plan.format)
        self.warnings = [*dropped, *lost]
        self.count = 0
        """Frames so far."""

    def add(self, picture: Picture) -> None:
        """The next frame.

        Args:
            picture: of the size of the canvas; without alpha where the animation has none.

        Raises:
            TooLarge: the file gets too long to be sent.
        """
        if (picture.width, picture.height) != (self.plan.width, self.plan.height):
            raise ValueError(f"a frame of {picture.width}x{picture.height} for another canvas")
        if self.count == len(self.plan.timing.durations):
            raise ValueError(f"more than {self.count} frames")
        self._add(self._conformed(picture))
        self.count += 1

    def finish(self) -> bytes:
        """The file, once all frames were given.

        Raises:
            TooLarge: it is too long to be sent.
        """
        if self.count != len(self.plan.timing.durations):
            raise ValueError(f"{self.count} frames of {len(self.plan.timing.durations)}")
        return self._finish()

    def warn(self, warning: str) -> None:
        """Keeps a warning, once."""
        if warning not in self.warnings:
            self.warnings.append(warning)

    @abstractmethod
    def _add(self, picture: Picture) -> None: ...

    @abstractmethod
    def _finish(self) -> bytes: ...

    def _conformed(self, picture: Picture) -> Picture:
        """In RGB, of the file's depth, and with alpha if the file has it."""
        if picture.alpha is not None and not self.plan.alpha:
            raise ValueError("a frame with alpha for an animation without")
        if picture.deep and not self.deep:
            self.warn("the format has 8 bits per sample; png keeps 16")
        alpha = picture.alpha
        if alpha is None and self.plan.alpha:
            alpha = opaque(picture.colour)
        colour = self._in_depth(rgb(picture.colour))
        return Picture(colour, None if alpha is None else self._in_depth(alpha))

    def _in_depth(self, samples: Array) -> Array:
        if samples.dtype == (np.uint16 if self.deep else np.uint8):
            return samples
        return samples.astype(np.uint16) * 257 if self.deep else to_8_bit(samples)


def opaque(colour: Array) -> Array:
    """An alpha (H, W) that hides nothing of a colour."""
    return np.full(colour.shape[:2], np.iinfo(colour.dtype).max, colour.dtype)


class File:
    """Bytes that grow in place, and are given away without a copy."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()

    def write(self, *parts: bytes) -> None:
        """
        Raises:
            TooLarge: no message can carry so many bytes.
        """
        for part in parts:
            self._bytes.write(part)
        if self._bytes.tell() > MOST_BYTES:
            raise TooLarge(f"the animation's file has over {MOST_BYTES} bytes")

    def patch(self, at: int, part: bytes) -> None:
        """Writes over what is there."""
        self._bytes.getbuffer()[at : at + len(part)] = part

    def value(self) -> bytes:
        return self._bytes.getvalue()

    def __len__(self) -> int:
        return self._bytes.tell()
