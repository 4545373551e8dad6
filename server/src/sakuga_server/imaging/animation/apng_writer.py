"""Frames into an APNG (PNG, third edition, 11.3.6)."""

import struct

from sakuga_server.imaging import png
from sakuga_server.imaging.animation.changes import Changes, Part
from sakuga_server.imaging.animation.write import File, Plan, Writer, opaque
from sakuga_server.imaging.metadata import png_chunks
from sakuga_server.imaging.picture import Picture

REPLACE, OVER = 0, 1
MOST_PLAYS = 2**31 - 1


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
