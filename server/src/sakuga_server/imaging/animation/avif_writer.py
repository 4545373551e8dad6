"""Frames into an AVIF image sequence, by Pillow.

Pillow asks for frames, so it runs on a thread of its own, on which it waits for the next one.
"""

import io
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any
from weakref import finalize

from PIL import Image

from sakuga_server.imaging.animation import avif
from sakuga_server.imaging.animation.write import File, Plan, Writer
from sakuga_server.imaging.metadata import Metadata
from sakuga_server.imaging.metadata.exif import without_orientation
from sakuga_server.imaging.picture import Array, Picture
from sakuga_server.imaging.samples import interleaved
from sakuga_server.imaging.writing.pillow import WHOLE_CHROMA

WAITING = 2  # frames that are given before Pillow takes them

# The fastest of aom that doesn't cost size: on drawings of 512², lossless, 0.15 s a frame; 6, its
# default, takes 1.3 s for a sixth less.
SPEED = 8


class AvifWriter(Writer):
    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        if plan.quality is None:
            self.warn("avif has its best quality, whose colours may be off by 3 of 255")
        self._work = _Work(plan, self.metadata)
        Thread(target=self._work.run, name="avif", daemon=True).start()
        finalize(self, self._work.frames.put, None)  # a thread never waits for a writer that's gone

    def _add(self, picture: Picture) -> None:
        self._work.room.acquire()
        self._work.frames.put(interleaved(picture))

    def _finish(self) -> bytes:
        file = File()
        file.write(avif.with_loop(self._work.result(), self.plan.timing.loop))
        return file.value()


class _Work:
    """What the thread knows; nothing in here knows the writer."""

    def __init__(self, plan: Plan, metadata: Metadata) -> None:
        self.frames: SimpleQueue[Array | None] = SimpleQueue()
        self.room, self.count = Semaphore(WAITING), len(plan.timing.durations)
        self._done: SimpleQueue[bytes | BaseException] = SimpleQueue()
        self.mode, self.size = "RGBA" if plan.alpha else "RGB", (plan.width, plan.height)
        self._durations, self._quality = list(plan.timing.durations), plan.quality or 100
        about = {"icc_profile": metadata.icc, "exif": metadata.exif, "xmp": metadata.xmp}
        self._about: dict[str, Any] = {name: value for name, value in about.items() if value}
        if metadata.exif:
            self._about["exif"] = without_orientation(metadata.exif)

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
