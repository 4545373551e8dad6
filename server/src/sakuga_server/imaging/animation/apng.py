"""APNG files, taken apart into PNG files of one frame each (PNG, third edition, 11.3.6 and 13.14).

An error ends the animation there.
"""

import struct
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, pairwise

from sakuga_core.config.server import Limits
from sakuga_server.imaging import png
from sakuga_server.imaging.animation.compose import Dispose, Placed, Rect
from sakuga_server.imaging.animation.container import Container, check_count
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.metadata.chunks import chunks
from sakuga_server.imaging.picture import Picture

DISPOSALS = (Dispose.KEEP, Dispose.CLEAR, Dispose.RESTORE)

# What frames inherit, as far as it tells how pixels are decoded. EXIF's orientation is left out: it
# is that of the canvas.
INHERITED = (b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"sBIT")
NEEDED = (b"IHDR", b"PLTE", b"acTL", b"fcTL")


class _DamagedError(Exception):
    """The message says what is wrong."""


@dataclass(frozen=True)
class _Frame:
    """An fcTL chunk, and the zlib stream that follows it, in pieces."""

    rect: Rect
    milliseconds: float
    dispose: Dispose
    over: bool
    pieces: list[memoryview] = field(default_factory=list)


def parse(data: bytes, limits: Limits) -> Container | None:
    """
    Args:
        data: a file that begins as a PNG does.

    Returns:
        None for a still picture.

    Raises:
        TooLarge: it has more frames than `limits` allow.
    """
    if len(data) < 33 or data[12:16] != b"IHDR":
        return None
    found, warnings = _Reader(data, limits), list[str]()
    try:
        if not found.read():
            return None
    except _DamagedError as error:
        warnings.append(f"the APNG is damaged: {error}; the animation ends there")
    if found.frames and found.hidden:
        warnings.append("the APNG's still image, which is no part of the animation, was left out")
    frames = [
        Placed(frame.rect, partial(found.decoded, frame), ms, frame.dispose, frame.over)
        for frame, ms in zip(found.frames, _durations(found.frames), strict=True)
    ]
    size, deep = (found.canvas.width, found.canvas.height), data[24] == 16
    return Container(*size, frames, found.plays, deep=deep, warnings=warnings)


def _durations(frames: list[_Frame]) -> list[int]:
    """Whole milliseconds; each makes up for what the ones before were rounded by."""
    ends = [0, *(round(end) for end in accumulate(frame.milliseconds for frame in frames))]
    return [end - start for start, end in pairwise(ends)]


class _Reader:
    """Reads chunk by chunk, and keeps what it has found."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self.data, self.limits = data, limits
        self.canvas = Rect(0, 0, *struct.unpack_from(">II", data, 16))
        self.frames: list[_Frame] = []
        self.plays = 0
        self.hidden = False
        """Whether the still image is none of the frames."""
        self._count = 0
        self._inherited: list[bytes] = []
        self._still = False
        """Whether the still image has begun."""
        self._next = 0
        """The sequence number that is expected."""

    def read(self) -> bool:
        """Whether it is an APNG.

        Raises:
            _DamagedError: there are no more frames, though there should be.
        """
        for kind, body, sound in chunks(self.data):
            if kind in NEEDED and not sound:
                raise _DamagedError(f"the checksum of {kind.decode()} is wrong")
            if kind == b"IDAT" and not self._count:
                return False
            if kind == b"IEND":
                break
            self._take(kind, body, sound)
        else:
            raise _DamagedError("it is truncated")
        if len(self.frames) < self._count:
            raise _DamagedError(f"of {self._count} frames it has {len(self.frames)}")
        return self._count > 0

    def _take(self, kind: bytes, body: memoryview, sound: bool) -> None:
        match kind:
            case b"acTL" if not self._still:
                self._count, self.plays = _unpacked(">II", body)
            case b"fcTL":
                self._begin(body)
            case b"IDAT":
                self._show_still(body)
            case b"fdAT":
                self._check_sequence(body)
                if len(self.frames) <= (not self.hidden):
                    raise _DamagedError("fdAT without fcTL")
                self.frames[-1].pieces.append(body[4:])
            case _ if kind in INHERITED and sound and not self._still:
                self._inherited.append(png.chunk(kind, bytes(body)))

    def _begin(self, body: memoryview) -> None:
        self._check_sequence(body)
        if len(self.frames) == self._count or (self.frames and not self._still):
            raise _DamagedError("there are more fcTL than frames")
        width, height, left, top, delay, per, dispose, blend = _unpacked(">IIIIHHBB", body[4:])
        rect = Rect(left, top, width, height)
        if not width or not height or rect not in self.canvas:
            raise _DamagedError(f"frame {len(self.frames) + 1} doesn't lie on the canvas")
        if dispose >= len(DISPOSALS) or blend > 1:
            raise _DamagedError(f"frame {len(self.frames) + 1} is shown in no known way")
        ms = 1000 * delay / (per or 100)
        check_count(len(self.frames) + 1, self.limits)
        self.frames.append(_Frame(rect, ms, DISPOSALS[dispose], over=blend == 1))

    def _show_still(self, body: memoryview) -> None:
        self._still, self.hidden = True, not self.frames or self.hidden
        if self.hidden:
            return
        if len(self.frames) > 1:
            raise _DamagedError("IDAT after the first frame")
        if self.frames[0].rect != self.canvas:
            self.frames.clear()
            raise _DamagedError("its first frame doesn't cover the canvas")
        self.frames[0].pieces.append(body)

    def _check_sequence(self, body: memoryview) -> None:
        (number,) = _unpacked(">I", body)
        if number != self._next:
            raise _DamagedError(f"sequence number {number} stands where {self._next} should")
        self._next += 1

    def decoded(self, frame: _Frame) -> Picture:
        """
        Raises:
            BadImage: its pixels are damaged.
        """
        size = struct.pack(">II", frame.rect.width, frame.rect.height)
        header = png.chunk(b"IHDR", size + self.data[24:29])
        pixels = png.chunk(b"IDAT", b"".join(frame.pieces))
        parts = (png.SIGNATURE, header, *self._inherited, pixels, png.chunk(b"IEND", b""))
        return decode(b"".join(parts), self.limits)


def _unpacked(format: str, body: memoryview) -> tuple[int, ...]:
    if len(body) < struct.calcsize(format):
        raise _DamagedError("a chunk is too short")
    return struct.unpack_from(format, body)
