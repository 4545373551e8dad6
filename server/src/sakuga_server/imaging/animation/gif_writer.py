"""Frames into a GIF with one palette (GIF89a).

The palette can be chosen only when all frames are known; until then they lie deflated in a
temporary file, as the parts that change.
"""

import io
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from tempfile import SpooledTemporaryFile

import numpy as np
from PIL import Image
from zlib_ng import zlib_ng

from sakuga_server.imaging.animation import gif
from sakuga_server.imaging.animation.base import File, Plan, Writer
from sakuga_server.imaging.animation.changes import Changes, bounds
from sakuga_server.imaging.animation.compose import Rect
from sakuga_server.imaging.animation.palette import Counts, Palette
from sakuga_server.imaging.metadata import Metadata, fitted, gif_blocks
from sakuga_server.imaging.metadata.color import to_srgb
from sakuga_server.imaging.picture import Array, Picture
from sakuga_server.imaging.writing.gif import MOST as COLOURS
from sakuga_server.imaging.writing.gif import OPAQUE

KEEP, CLEAR = 1, 2  # disposals
TABLE_ENDS = 13 + 3 * COLOURS
SHORTEST, LONGEST = 2, 65535  # hundredths of a second; browsers show shorter ones as 10
MOST_PLAYS = 2**16
IN_MEMORY = 2**25  # bytes of deflated frames that need no file


@dataclass(frozen=True)
class ImageBlock:
    """An image of the file: what has to be drawn, and cleared, for one frame."""

    rect: Rect
    indices: Array
    """uint8, of `rect`."""
    dispose: int
    thinned: Array | None
    """The same, transparent where nothing changes."""

    def encoded(self) -> bytes:
        """The block, by whichever indices take less."""
        rect = self.rect
        head = struct.pack("<BHHHHB", gif.IMAGE, rect.left, rect.top, rect.width, rect.height, 0)
        ways = (self.indices, self.thinned)
        return head + min((_compressed(each) for each in ways if each is not None), key=len)


class GifWriter(Writer):
    def __init__(self, plan: Plan) -> None:
        about, dropped = fitted(plan.metadata, plan.width, plan.height, gray=False)
        super().__init__(replace(plan, metadata=replace(about, icc=None, color=None)))
        self.warnings += dropped
        self._into_srgb = self._converter(about)
        self._changes, self._counts = Changes(), Counts()
        self._parts = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 closed at the end
        self._places: list[tuple[Rect, int]] = []
        """What the parts in there change, and their lengths."""
        self._transparent = False

    def _converter(self, metadata: Metadata) -> Callable[[Array], Array] | None:
        """For the colours, since a GIF says nothing of theirs; None where they are sRGB's."""
        try:
            converter = to_srgb(metadata)
        except ValueError as error:
            self.warn(f"{error}; the colours weren't changed")
            return None
        if converter is not None:
            self.warn("gif stores no colour profile; the colours were converted to sRGB")
        return converter

    def _add(self, picture: Picture) -> None:
        shown = np.ones(picture.colour.shape[:2], bool)
        if picture.alpha is not None:
            shown = picture.alpha >= OPAQUE
            if ((picture.alpha > 0) & (picture.alpha < 255)).any():
                self.warn(
                    "gif has no semi-transparent pixels; they were made opaque or transparent"
                )
        self._transparent |= not shown.all()
        colour = self._into_srgb(picture.colour) if self._into_srgb else picture.colour
        self._counts.add(colour, shown)
        part = self._changes.part(Picture(colour, shown.view(np.uint8)))
        deflated = zlib_ng.compressobj(1)
        pieces = [deflated.compress(part.picture.colour), deflated.compress(part.picture.alpha)]
        self._places.append((part.rect, self._parts.write(b"".join((*pieces, deflated.flush())))))

    def _finish(self) -> bytes:
        # One is left for what a frame doesn't change, if that costs no colour.
        palette = self._counts.palette(COLOURS - 1, COLOURS - 1 if self._transparent else COLOURS)
        if palette.found > len(palette.table):
            self.warn(
                f"gif holds {COLOURS} colours; the animation's {palette.found} were reduced to "
                f"{len(palette.table)}, the same for all frames"
            )
        transparent = len(palette.table) if len(palette.table) < COLOURS else None
        file = self._begun(palette, transparent)
        shown = self._shown(palette, transparent or 0)
        for image, delay in zip(images(shown, transparent), self._delays(), strict=True):
            file.write(_control(image, delay, transparent), image.encoded())
        file.write(b";")
        self._parts.close()
        return file.value()

    def _begun(self, palette: Palette, transparent: int | None) -> File:
        timing, file = self.plan.timing, File()
        colour = (timing.background or ())[:3]
        same = [at for at, each in enumerate(palette.table.tolist()) if tuple(each) == colour]
        background = [*same, transparent or 0][0]
        table = palette.table.tobytes().ljust(3 * COLOURS, b"\0")
        size = (self.plan.width, self.plan.height)
        file.write(struct.pack("<6sHHBBB", b"GIF89a", *size, 0xF7, background, 0), table)
        if timing.loop != 1:  # which counts repetitions, and 0 is for ever
            repeats = min(timing.loop, MOST_PLAYS) - 1 if timing.loop else 0
            file.write(b"!\xff\x0bNETSCAPE2.0", struct.pack("<BBHB", 3, 1, repeats, 0))
        file.write(gif_blocks(self.metadata))
        return file

    def _shown(self, palette: Palette, otherwise: int) -> Iterator[Array]:
        """Indices of each frame, uint8 (H, W)."""
        canvas = np.zeros((self.plan.height, self.plan.width), np.uint8)
        self._parts.seek(0)
        for rect, length in self._places:
            raw = np.frombuffer(zlib_ng.decompress(self._parts.read(length)), np.uint8)
            area = rect.width * rect.height
            colour = raw[: 3 * area].reshape(rect.height, rect.width, 3)
            shown = raw[3 * area :].view(bool).reshape(rect.height, rect.width)
            canvas[rect.window] = palette.of(colour, shown, otherwise)
            yield canvas.copy()

    def _delays(self) -> Iterator[int]:
        """Hundredths of a second; each makes up for what the ones before were rounded by."""
        debt = 0
        for duration in self.plan.timing.durations:
            delay = (duration + debt + 5) // 10
            if delay < SHORTEST or delay > LONGEST:
                self.warn("gif shows a frame for 20 to 655,350 milliseconds; others were made so")
                delay, debt = min(max(delay, SHORTEST), LONGEST), 0
            else:
                debt += duration - 10 * delay
            if duration % 10:
                self.warn(
                    "gif counts hundredths of a second; durations were rounded, not their sum"
                )
            yield delay


def _control(image: ImageBlock, delay: int, transparent: int | None) -> bytes:
    flags = image.dispose << 2 | (transparent is not None)
    return b"!\xf9" + struct.pack("<BBHBB", 4, flags, delay, transparent or 0, 0)


def images(shown: Iterable[Array], transparent: int | None) -> Iterator[ImageBlock]:
    """One for each frame.

    A pixel can become transparent only where the image before is cleared; so that one grows to
    what has to be.

    Args:
        shown: indices of each whole frame, uint8 (H, W).
        transparent: the index that leaves a pixel as it is; None: there is none, in no frame.
    """
    before: Array | None = None  # what is there when the frame is drawn
    for now, after in pairwise(chain(shown, (None,))):
        assert now is not None
        rect = Rect(0, 0, *now.shape[::-1]) if before is None else bounds(now != before)
        gone = None
        if after is not None and transparent is not None:
            gone = bounds((now != transparent) & (after == transparent))
        if gone:
            rect = rect.joined(gone) if rect else gone
        rect = rect or Rect(0, 0, 1, 1)
        indices, thinned = now[rect.window], None
        if before is not None and transparent is not None:
            same = indices == before[rect.window]
            thinned = np.where(same, np.uint8(transparent), indices) if same.any() else None
        yield ImageBlock(rect, indices, CLEAR if gone else KEEP, thinned)
        before = now
        if gone:
            before = now.copy()
            before[rect.window] = transparent


def _compressed(indices: Array) -> bytes:
    """The minimum code size, and sub-blocks: what Pillow writes behind the image's descriptor."""
    file = io.BytesIO()
    Image.fromarray(indices).save(file, "GIF", optimize=False, interlace=0)
    data = file.getvalue()
    image = next(block for block in gif.blocks(data, TABLE_ENDS, []) if block.kind == gif.IMAGE)
    return data[image.start + 9 : image.stop]
