"""AVIF image sequences: Pillow decodes and encodes their frames; when they are shown is read here.

To write, Pillow asks for frames, so it runs on a thread of its own, on which it waits for the next.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from queue import SimpleQueue
from threading import Lock, Semaphore, Thread
from typing import Any
from weakref import finalize

import numpy as np
from PIL import Image

from sakuga_core.config.server import Limits
from sakuga_server.imaging.animation.base import File, Plan, Writer
from sakuga_server.imaging.animation.compose import Container, Frame, Rect, whole_milliseconds
from sakuga_server.imaging.metadata import Metadata
from sakuga_server.imaging.metadata.boxes import boxes
from sakuga_server.imaging.picture import Array, Picture
from sakuga_server.imaging.reading.checks import blaming, check_count
from sakuga_server.imaging.samples import interleaved
from sakuga_server.imaging.writing.pillow import WHOLE_CHROMA, avif_metadata

PARENTS = (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl")
DEEPEST, MOST = len(PARENTS), 10_000  # boxes in each other, and together
WAITING = 2  # frames that are given before Pillow takes them

# The fastest of aom that doesn't cost size: on drawings of 512², lossless, 0.15 s a frame; 6, its
# default, takes 1.3 s for a sixth less.
SPEED = 8


@dataclass(frozen=True)
class Box:
    """A box without its header (ISO/IEC 14496-12, 4.2)."""

    kind: bytes
    start: int
    body: memoryview

    @property
    def long(self) -> bool:
        """Whether its times and durations have 64 bits, and not 32."""
        return self.number(0, 1) == 1

    def number(self, at: int, length: int) -> int:
        """Beyond the body it counts as 0."""
        return int.from_bytes(bytes(self.body[at : at + length]).ljust(length, b"\0"), "big")


def parse(data: bytes, limits: Limits) -> Container | None:
    """None as well for what Pillow can't open."""
    try:
        image = Image.open(io.BytesIO(data), formats=["AVIF"])
        count = int(getattr(image, "n_frames", 1))
    except Exception:  # the decoder of still pictures says what is wrong
        return None
    if count < 2:
        return None
    check_count(count, limits)
    lock, rect, track = Lock(), Rect(0, 0, image.width, image.height), _first_track(data)
    frames = [
        Frame(rect, partial(_decoded, image, lock, index), duration)
        for index, duration in enumerate(_durations(track, count))
    ]
    return Container(*image.size, frames, _loop(track))


def _first_track(data: bytes) -> dict[bytes, Box]:
    """The boxes that tell of the time of the first track, which is that of the colours."""
    found: dict[bytes, Box] = {}
    for box in leaves(data):
        found.setdefault(box.kind, box)
    return found


def leaves(data: bytes) -> Iterator[Box]:
    """All boxes that hold no others, one after the other."""
    return islice(_leaves(data, 0, len(data), DEEPEST), MOST)


def _leaves(data: bytes, start: int, end: int, depth: int) -> Iterator[Box]:
    for kind, at, stop in boxes(data, start, end):
        if kind in PARENTS and depth:
            yield from _leaves(data, at, stop, depth - 1)
        else:
            yield Box(kind, at, memoryview(data)[at:stop])


def _durations(track: dict[bytes, Box], count: int) -> list[int]:
    """Milliseconds of each frame."""
    times, header, ticks = track.get(b"stts"), track.get(b"mdhd"), list[int]()
    if times and header:
        entries = min(times.number(4, 4), count)
        for at in range(8, 8 + 8 * entries, 8):
            ticks += [times.number(at + 4, 4)] * min(times.number(at, 4), count - len(ticks))
    per_second = (header.number(20 if header.long else 12, 4) if header else 0) or 1
    padded = [*ticks, *[0] * (count - len(ticks))]
    return whole_milliseconds(1000 * each / per_second for each in padded)


def _loop(track: dict[bytes, Box]) -> int:
    """How many times it plays: as often as its edit list, which repeats, fits into the track."""
    edits, header = track.get(b"elst"), track.get(b"tkhd")
    if edits is None or header is None:
        return 0  # as Chromium has it
    once, whole = edits.number(8, 8 if edits.long else 4), _duration(header)
    if not edits.number(1, 3) & 1 or not once:
        return 1
    endless = whole == (2**64 if header.long else 2**32) - 1
    return 0 if endless else -(-whole // once)


def _duration(header: Box) -> int:
    """Of a tkhd."""
    return header.number(*((28, 8) if header.long else (20, 4)))


def _decoded(image: Image.Image, lock: Lock, index: int) -> Picture:
    """
    Raises:
        BadImage: the frame is damaged.
    """
    with lock, blaming("AVIF"):
        image.seek(index)
        pixels = np.array(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] == 4 else None
    return Picture(np.ascontiguousarray(pixels[..., :3]), alpha)


def _with_loop(data: bytes, plays: int) -> bytes:
    """
    Args:
        data: a file that plays for ever, as Pillow writes it.
        plays: how many times it should play; 0: for ever.

    Returns:
        The same file, without the time of its making.
    """
    result = bytearray(data)
    once = next((edits.number(8, 8) for edits in leaves(data) if edits.kind == b"elst"), 0)
    for box in leaves(data):
        if box.kind not in (b"mvhd", b"tkhd", b"mdhd") or not box.long:
            continue
        result[box.start + 4 : box.start + 20] = bytes(16)
        if plays and box.kind != b"mdhd":
            at = box.start + (24 if box.kind == b"mvhd" else 28)
            result[at : at + 8] = (plays * once).to_bytes(8, "big")
    return bytes(result)


class AvifWriter(Writer):
    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._work = _Work(plan, self.metadata)
        Thread(target=self._work.run, name="avif", daemon=True).start()
        finalize(self, self._work.frames.put, None)  # a thread never waits for a writer that's gone

    def _add(self, picture: Picture) -> None:
        self._work.room.acquire()
        self._work.frames.put(interleaved(picture))

    def _finish(self) -> bytes:
        file = File()
        file.write(_with_loop(self._work.result(), self.plan.timing.loop))
        return file.value()


class _Work:
    """What the thread knows; nothing in here knows the writer."""

    def __init__(self, plan: Plan, metadata: Metadata) -> None:
        self.frames: SimpleQueue[Array | None] = SimpleQueue()
        self.room, self.count = Semaphore(WAITING), len(plan.timing.durations)
        self._done: SimpleQueue[bytes | BaseException] = SimpleQueue()
        self.mode, self.size = "RGBA" if plan.alpha else "RGB", (plan.width, plan.height)
        self._durations, self._quality = list(plan.timing.durations), plan.quality or 100
        self._about = avif_metadata(metadata)

    def run(self) -> None:
        file = io.BytesIO()
        try:
            options = {"quality": self._quality, "speed": SPEED, "duration": self._durations}
            sequence = _Sequence(self)
            sequence.save(file, "AVIF", save_all=True, **options, **WHOLE_CHROMA, **self._about)
            self._done.put(file.getvalue())
        except BaseException as error:
            self._done.put(error)
            self.room.release(self.count)  # whoever adds frames goes on to the end

    def result(self) -> bytes:
        done = self._done.get()
        if isinstance(done, BaseException):
            raise done
        return done


class _GoneError(Exception):
    """There is no writer any more."""


class _Sequence(Image.Image):
    """What Pillow saves: it asks for one frame after the other, and once more for the first."""

    is_animated = True

    def __init__(self, work: _Work) -> None:
        super().__init__()
        self._mode, self._size, self._work = work.mode, work.size, work
        self._at, self._pixels = -1, b""

    def seek(self, frame: int) -> None:
        if frame == self._work.count:
            raise EOFError
        if frame <= self._at:
            return
        pixels = self._work.frames.get()
        self._work.room.release()
        if pixels is None:
            raise _GoneError
        self._at, self._pixels = frame, pixels.tobytes()

    def tell(self) -> int:
        return max(self._at, 0)

    def load(self) -> None:
        """There is nothing that Pillow itself could load."""

    def tobytes(self, encoder_name: str = "raw", *args: Any) -> bytes:
        return self._pixels
