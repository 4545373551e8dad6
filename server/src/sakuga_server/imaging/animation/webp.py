"""Animated WebP (RFC 9649): taken apart into files of one frame each, and put together from them,
which are encoded on all cores."""

import io
import os
import struct
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from PIL import Image

from sakuga_core.config.server import Limits
from sakuga_server.imaging.animation.base import File, Plan, Writer
from sakuga_server.imaging.animation.changes import Changes, Part
from sakuga_server.imaging.animation.compose import Container, Dispose, Frame, Rect
from sakuga_server.imaging.metadata import Metadata, webp_chunks
from sakuga_server.imaging.picture import Picture
from sakuga_server.imaging.reading import still
from sakuga_server.imaging.reading.checks import check_count
from sakuga_server.imaging.samples import interleaved
from sakuga_server.imaging.writing import pillow

ANIMATED, ALPHA = 0x02, 0x10  # flags of VP8X
CLEARS, REPLACES = 1, 2  # flags of ANMF
PIXELS = (b"ALPH", b"VP8 ", b"VP8L")
MOST_PLAYS, LONGEST = 2**16 - 1, 2**24 - 1  # the latter in milliseconds
FLAGS = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}  # of VP8X
FLAGS_AT = 20  # bytes from the file's start
WAITING = 2**25  # pixels of the frames that are being encoded at once, if it isn't only one
_ENDS = "the animation ends there"

Chunk = tuple[bytes, memoryview]


def parse(data: bytes, limits: Limits) -> Container | None:
    if len(data) < 30 or data[12:16] != b"VP8X" or not data[20] & ANIMATED:
        return None
    canvas = Rect(0, 0, _number(data, 24) + 1, _number(data, 27) + 1)
    end = 8 + int.from_bytes(data[4:8], "little")
    frames: list[Frame] = []
    loop, background, warnings, at = 1, None, list[str](), 12
    for kind, body in chunks(memoryview(data)[12:end]):
        at += 8 + len(body) + (len(body) & 1)
        if kind == b"ANIM" and len(body) >= 6 and background is None:
            blue, green, red, alpha, loop = struct.unpack_from("<BBBBH", body)
            background = (red, green, blue, alpha)
        elif kind == b"ANMF":
            frame = _frame(body, limits)
            if frame is None or frame.rect not in canvas:
                warnings.append(f"frame {len(frames) + 1} of the WebP is damaged; {_ENDS}")
                break
            frames.append(frame)
            check_count(len(frames), limits)
    else:
        if at + 8 <= end <= len(data):
            warnings.append(f"a chunk behind frame {len(frames)} of the WebP is damaged; {_ENDS}")
    warnings += _at_the_end(data, end)
    return Container(canvas.width, canvas.height, frames, loop, background, warnings=warnings)


def _at_the_end(data: bytes, end: int) -> list[str]:
    """Warnings of a file that is shorter or longer than it says."""
    if end > len(data):
        return [f"the WebP is truncated; {_ENDS}"]
    if end + (end & 1) < len(data):
        return [f"{len(data) - end} bytes after the WebP's end were ignored"]
    return []


def chunks(data: bytes | memoryview) -> Iterator[Chunk]:
    """Name and body of each whole RIFF chunk."""
    view, at = memoryview(data), 0
    while at + 8 <= len(view):
        kind, length = struct.unpack_from("<4sI", view, at)
        if at + 8 + length > len(view):
            return
        yield kind, view[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)


def chunk(kind: bytes, *parts: bytes | memoryview) -> bytes:
    """A RIFF chunk, padded to an even length."""
    length = sum(map(len, parts))
    return b"".join((struct.pack("<4sI", kind, length), *parts, b"\0" * (length & 1)))


def _file(*parts: bytes) -> bytes:
    """A WebP file of such chunks."""
    return chunk(b"RIFF", b"WEBP", *parts)


def _features(flags: int, width: int, height: int) -> bytes:
    """The VP8X chunk."""
    numbers = (length.to_bytes(3, "little") for length in (width - 1, height - 1))
    return chunk(b"VP8X", struct.pack("<I", flags), *numbers)


def _number(data: bytes | memoryview, at: int) -> int:
    """24 bits."""
    return int.from_bytes(data[at : at + 3], "little")


def _frame(body: memoryview, limits: Limits) -> Frame | None:
    """None where it has no pixels."""
    left, top, width, height, ms = (_number(body, at) for at in range(0, 15, 3))
    parts = [each for each in chunks(body[16:]) if each[0] in PIXELS]
    if not parts:
        return None
    flags, rect = body[15], Rect(2 * left, 2 * top, width + 1, height + 1)
    dispose = Dispose.CLEAR if flags & CLEARS else Dispose.KEEP
    decode = partial(_decoded, rect, parts, limits)
    return Frame(rect, decode, ms, dispose, over=not flags & REPLACES)


def _decoded(rect: Rect, parts: list[Chunk], limits: Limits) -> Picture:
    """
    Raises:
        BadImage: its pixels are damaged.
    """
    extended = [_features(ALPHA, rect.width, rect.height)] if parts[0][0] == b"ALPH" else []
    return still.first(_file(*extended, *(chunk(*part) for part in parts)), limits)


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
        self._flags = ANIMATED | sum(FLAGS[name] for name, _ in self._about)
        self._file = self._begun()

    def _begun(self) -> File:
        timing, file = self.plan.timing, File()
        red, green, blue, alpha = timing.background or (0, 0, 0, 0)
        colour = (blue, green, red, alpha)
        file.write(struct.pack("<4sI4s", b"RIFF", 0, b"WEBP"))
        file.write(_features(self._flags, self.plan.width, self.plan.height))
        file.write(*(chunk(*each) for each in self._about if each[0] == b"ICCP"))
        plays = min(timing.loop, MOST_PLAYS)
        file.write(chunk(b"ANIM", struct.pack("<4BH", *colour, plays)))
        return file

    def _add(self, picture: Picture) -> None:
        part = self._changes.part(picture)
        if part.picture.alpha is not None:
            self._flags |= ALPHA
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
        self._file.write(*(chunk(*each) for each in self._about if each[0] != b"ICCP"))
        self._file.patch(4, struct.pack("<I", len(self._file) - 8))
        self._file.patch(FLAGS_AT, bytes((self._flags,)))
        return self._file.value()


def _encoded(part: Part, duration: int, quality: int | None) -> bytes:
    """An ANMF chunk."""
    rect, flags = part.rect, 0 if part.over else REPLACES
    numbers = (rect.left // 2, rect.top // 2, rect.width - 1, rect.height - 1, duration)
    head = b"".join(number.to_bytes(3, "little") for number in numbers) + bytes((flags,))
    still = _thin(part) if part.over else pillow.webp(part.picture, Metadata(), quality)
    parts = (each for each in chunks(memoryview(still)[12:]) if each[0] in PIXELS)
    return chunk(b"ANMF", head, *(chunk(*each) for each in parts))


def _thin(part: Part) -> bytes:
    """Mostly transparent pixels as a lossless file."""
    file = io.BytesIO()
    options = {"lossless": True, "exact": True, "quality": 20}
    # Method 0 takes three to seventy times as many bytes for such pixels.
    Image.fromarray(interleaved(part.picture)).save(file, "WEBP", method=1, **options)
    return file.getvalue()
