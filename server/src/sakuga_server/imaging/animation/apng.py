"""APNG (PNG, third edition, 11.3.6 and 13.14): taken apart into PNG files of one frame each, and
written.

An error in a file ends the animation there.
"""

import struct
from dataclasses import dataclass, field
from functools import partial

from sakuga_core.config.server import Limits
from sakuga_server.imaging import png
from sakuga_server.imaging.animation.base import File, Plan, Writer, opaque
from sakuga_server.imaging.animation.changes import Changes, Part
from sakuga_server.imaging.animation.compose import (
    Container,
    Dispose,
    Frame,
    Rect,
    whole_milliseconds,
)
from sakuga_server.imaging.metadata import png_chunks
from sakuga_server.imaging.metadata.chunks import chunks
from sakuga_server.imaging.picture import Picture
from sakuga_server.imaging.reading import still
from sakuga_server.imaging.reading.checks import check_count

DISPOSALS = (Dispose.KEEP, Dispose.CLEAR, Dispose.RESTORE)

INHERITED = (b"PLTE", b"tRNS")  # by frames, to be decoded; all else is said of the whole file
REPLACE, OVER = 0, 1  # how a frame is laid on
MOST_PLAYS = 2**31 - 1
NEEDED = (b"IHDR", b"PLTE", b"acTL", b"fcTL")

_HIDDEN = "the APNG's still image, which isn't part of the animation, was dropped"


class _DamagedError(Exception):
    """The message says what is wrong."""


@dataclass(frozen=True)
class _Stored:
    """An fcTL chunk, and the zlib stream that follows it, in pieces."""

    rect: Rect
    milliseconds: float
    dispose: Dispose
    over: bool
    pieces: list[memoryview] = field(default_factory=list)


def parse(data: bytes, limits: Limits) -> Container | None:
    if len(data) < 33 or data[12:16] != b"IHDR":
        return None
    found, warnings = _Reader(data, limits), list[str]()
    try:
        if not found.read():
            return None
    except _DamagedError as error:
        warnings.append(f"the APNG is damaged: {error}; the animation ends there")
    durations = whole_milliseconds(frame.milliseconds for frame in found.frames)
    frames = [
        Frame(frame.rect, partial(found.decoded, frame), ms, frame.dispose, frame.over)
        for frame, ms in zip(found.frames, durations, strict=True)
    ]
    size, deep = (found.canvas.width, found.canvas.height), data[24] == 16
    notes = [_HIDDEN] if found.hidden else []
    return Container(*size, frames, found.plays, deep=deep, warnings=warnings, notes=notes)


class _Reader:
    """Reads chunk by chunk, and keeps what it has found."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self.data, self.limits = data, limits
        self.canvas = Rect(0, 0, *struct.unpack_from(">II", data, 16))
        self.frames: list[_Stored] = []
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
        self.frames.append(_Stored(rect, ms, DISPOSALS[dispose], over=blend == 1))

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

    def decoded(self, frame: _Stored) -> Picture:
        """
        Raises:
            BadImage: its pixels are damaged.
        """
        size = struct.pack(">II", frame.rect.width, frame.rect.height)
        header = png.chunk(b"IHDR", size + self.data[24:29])
        pixels = png.chunk(b"IDAT", b"".join(frame.pieces))
        parts = (png.SIGNATURE, header, *self._inherited, pixels, png.chunk(b"IEND", b""))
        return still.first(b"".join(parts), self.limits)


def _unpacked(format: str, body: memoryview) -> tuple[int, ...]:
    if len(body) < struct.calcsize(format):
        raise _DamagedError("a chunk is too short")
    return struct.unpack_from(format, body)


class ApngWriter(Writer):
    """8 or 16 bits. An opaque animation has an alpha, too, which is full in all that is shown: by
    it, frames leave out what they don't change."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._file, self._sequence, self._changes = File(), 0, Changes(over=True)

    def _add(self, picture: Picture) -> None:
        if picture.alpha is None:
            picture = Picture(picture.colour, opaque(picture.colour))
        if not self.count:
            self._begin(picture)
        part = self._changes.part(picture)
        self._file.write(png.chunk(b"fcTL", self._numbered(self._control(part))))
        pixels = b"".join(png.compressed(part.picture))
        kind, body = (b"fdAT", self._numbered(pixels)) if self.count else (b"IDAT", pixels)
        self._file.write(png.chunk(kind, body))

    def _begin(self, picture: Picture) -> None:
        timing = self.plan.timing
        control = struct.pack(">II", len(timing.durations), min(timing.loop, MOST_PLAYS))
        self._file.write(png.SIGNATURE, png.header(picture), png_chunks(self.metadata))
        self._file.write(png.chunk(b"acTL", control))

    def _numbered(self, body: bytes) -> bytes:
        self._sequence += 1
        return struct.pack(">I", self._sequence - 1) + body

    def _control(self, part: Part) -> bytes:
        rect, blend = part.rect, OVER if part.over else REPLACE
        sizes = (rect.width, rect.height, rect.left, rect.top)
        delay = _fraction(self.plan.timing.durations[self.count])
        return struct.pack(">IIIIHHBB", *sizes, *delay, 0, blend)

    def _finish(self) -> bytes:
        self._file.write(png.chunk(b"IEND", b""))
        return self._file.value()


def _fraction(milliseconds: int) -> tuple[int, int]:
    """As seconds: numerator and denominator, of 16 bits each."""
    for per_second in (1000, 100, 10):
        if milliseconds * per_second // 1000 < 65535:
            return round(milliseconds * per_second / 1000), per_second
    return min(round(milliseconds / 1000), 65535), 1
