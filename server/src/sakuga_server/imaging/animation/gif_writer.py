"""Frames into a GIF with one palette (GIF89a).

The palette can be chosen only when all frames are known; until then they lie deflated in a
temporary file, as the parts that change.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from tempfile import SpooledTemporaryFile

import numpy as np
from zlib_ng import zlib_ng

from sakuga_server.imaging.animation.changes import Changes
from sakuga_server.imaging.animation.compose import Rect
from sakuga_server.imaging.animation.gif_images import COLOURS, Image, images
from sakuga_server.imaging.animation.palette import Counts, Palette
from sakuga_server.imaging.animation.write import File, Plan, Writer
from sakuga_server.imaging.metadata import Metadata, fitted, gif_blocks, icc
from sakuga_server.imaging.metadata.color import profile
from sakuga_server.imaging.picture import Array, Picture

OPAQUE = 128  # the least alpha of what is shown
SHORTEST, LONGEST = 2, 65535  # hundredths of a second; browsers show shorter ones as 10
MOST_PLAYS = 2**16
IN_MEMORY = 2**25  # bytes of deflated frames that need no file


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
            own = metadata.icc or (profile(metadata.color) if metadata.color else None)
            if own is None or icc.is_srgb(own):
                return None
            converter = icc.Converter(own)
        except ValueError as error:
            self.warn(f"{error}; the colours were left as they are")
            return None
        self.warn("the format holds no colour profile; the colours were turned into sRGB")
        return converter

    def _add(self, picture: Picture) -> None:
        shown = np.ones(picture.colour.shape[:2], bool)
        if picture.alpha is not None:
            shown = picture.alpha >= OPAQUE
            if ((picture.alpha > 0) & (picture.alpha < 255)).any():
                self.warn(
                    "gif holds no half-transparent pixels; they were made opaque or transparent"
                )
        self._transparent |= not shown.all()
        colour = self._into_srgb(picture.colour) if self._into_srgb else picture.colour
        self._counts.add(colour, shown)
        part = self._changes.part(Picture(colour, shown.view(np.uint8)))
        deflated = zlib_ng.compressobj(1)
        pieces = [deflated.compress(part.picture.colour), deflated.compress(part.picture.alpha)]
        self._places.append((part.rect, self._parts.write(b"".join((*pieces, deflated.flush())))))

    def _finish(self) -> bytes:
        exact = COLOURS if not self._transparent and self._counts.kinds == COLOURS else COLOURS - 1
        palette = self._counts.palette(exact)
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


def _control(image: Image, delay: int, transparent: int | None) -> bytes:
    flags = image.dispose << 2 | (transparent is not None)
    return b"!\xf9" + struct.pack("<BBHBB", 4, flags, delay, transparent or 0, 0)
