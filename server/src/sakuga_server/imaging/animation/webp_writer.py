"""Frames into an animated WebP (RFC 9649), encoded on all cores."""

import io
import os
import struct
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from PIL import Image

from sakuga_server.imaging.animation import webp
from sakuga_server.imaging.animation.changes import Changes, Part
from sakuga_server.imaging.animation.write import File, Plan, Writer
from sakuga_server.imaging.metadata import Metadata, webp_chunks
from sakuga_server.imaging.picture import Picture
from sakuga_server.imaging.samples import interleaved
from sakuga_server.imaging.writing import pillow

MOST_PLAYS, LONGEST = 2**16 - 1, 2**24 - 1  # the latter in milliseconds
FLAGS = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}  # of VP8X
FLAGS_AT = 20  # bytes from the file's start
WAITING = 2**25  # pixels of the frames that are being encoded at once, if it isn't only one


class WebpWriter(Writer):
    """Lossless, or with a quality. Lossy frames are cut to what changes, and nothing more of them
    is left out: the borders of that would show."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._changes = Changes(step=2, over=plan.quality is None)
        cores = len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(cores)
        self._at_once = max(1, min(2 * cores, WAITING // (plan.width * plan.height)))
        self._running: deque[Future[bytes]] = deque()
        self._about = webp_chunks(self.metadata)
        self._flags = webp.ANIMATED | sum(FLAGS[name] for name, _ in self._about)
        self._file = self._begun()

    def _begun(self) -> File:
        timing, file = self.plan.timing, File()
        red, green, blue, alpha = timing.background or (0, 0, 0, 0)
        colour = (blue, green, red, alpha)
        file.write(struct.pack("<4sI4s", b"RIFF", 0, b"WEBP"))
        file.write(webp.features(self._flags, self.plan.width, self.plan.height))
        file.write(*(webp.chunk(*each) for each in self._about if each[0] == b"ICCP"))
        plays = min(timing.loop, MOST_PLAYS)
        file.write(webp.chunk(b"ANIM", struct.pack("<4BH", *colour, plays)))
        return file

    def _add(self, picture: Picture) -> None:
        part = self._changes.part(picture)
        if part.picture.alpha is not None:
            self._flags |= webp.ALPHA
        duration = self.plan.timing.durations[self.count]
        if duration > LONGEST:
            self.warn(f"webp shows a frame for {LONGEST} milliseconds at most")
        while len(self._running) >= self._at_once:
            self._file.write(self._running.popleft().result())
        arguments = part, min(duration, LONGEST), self.plan.quality
        self._running.append(self._pool.submit(_encoded, *arguments))

    def _finish(self) -> bytes:
        while self._running:
            self._file.write(self._running.popleft().result())
        self._pool.shutdown()
        self._file.write(*(webp.chunk(*each) for each in self._about if each[0] != b"ICCP"))
        self._file.patch(4, struct.pack("<I", len(self._file) - 8))
        self._file.patch(FLAGS_AT, bytes((self._flags,)))
        return self._file.value()


def _encoded(part: Part, duration: int, quality: int | None) -> bytes:
    """An ANMF chunk."""
    rect, flags = part.rect, 0 if part.over else webp.REPLACES
    numbers = (rect.left // 2, rect.top // 2, rect.width - 1, rect.height - 1, duration)
    head = b"".join(number.to_bytes(3, "little") for number in numbers) + bytes((flags,))
    still = _thin(part) if part.over else pillow.webp(part.picture, Metadata(), quality)
    chunks = webp.chunks(memoryview(still)[12:])
    return webp.chunk(
        b"ANMF", head, *(webp.chunk(*each) for each in chunks if each[0] in webp.PIXELS)
    )


def _thin(part: Part) -> bytes:
    """Mostly transparent pixels as a lossless file."""
    file = io.BytesIO()
    options = {"lossless": True, "exact": True, "quality": 20}
    # Method 0 takes three to seventy times as many bytes for such pixels.
    Image.fromarray(interleaved(part.picture)).save(file, "WEBP", method=1, **options)
    return file.getvalue()
