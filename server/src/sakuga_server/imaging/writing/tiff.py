"""TIFF (6.0), of 8 or 16 bits, with as many pages as there are pictures, and EXIF.

tifffile, which writes pixels as well, writes no EXIF, and Pillow no RGB of 16 bits.
"""

import io
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from zlib_ng import zlib_ng

from sakuga_core.errors import TooLarge
from sakuga_server.imaging.metadata import Metadata, exif, ifd
from sakuga_server.imaging.picture import Array, Picture, strips
from sakuga_server.imaging.samples import interleaved
from sakuga_server.imaging.writing import MOST_BYTES

ORDER = "<"  # of bytes
LEVEL = 3  # as in PNG
_DEFLATE, _DIFFERENCES, _UNASSOCIATED, _A_PAGE, _NO_UNIT = 8, 2, 2, 2, 1


class TiffWriter:
    """A file that pages are added to, each taking no memory beside its compressed pixels."""

    def __init__(self, pages: bool) -> None:
        """
        Args:
            pages: whether the file's pictures are pages of one document.
        """
        self.pages = pages
        self.file = io.BytesIO()
        self.file.write(b"II*\0" + bytes(4))
        self.pointer = 4  # where the offset of the next directory belongs

    def add(self, picture: Picture, metadata: Metadata) -> None:
        """
        Raises:
            TooLarge: the file is longer than a message can be.
        """
        offsets, counts = self._strips(picture)
        tags, found = _about(metadata)
        self._directory(_structure(picture, offsets, counts, self.pages) | tags, found)

    def getvalue(self) -> bytes:
        return self.file.getvalue()

    def _strips(self, picture: Picture) -> tuple[list[int], list[int]]:
        offsets, counts = [], []
        compress = partial(_compressed, picture)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for piece in pool.map(compress, strips(picture.colour)):
                offsets.append(self.file.tell())
                counts.append(self.file.write(piece))
                if self.file.tell() > MOST_BYTES:
                    raise TooLarge(f"the result has over {MOST_BYTES} bytes; use fewer pages")
        return offsets, counts

    def _directory(self, tags: ifd.Directory, found: exif.Exif) -> None:
        start = self.file.tell() + self.file.tell() % 2
        writer = ifd.Writer(ORDER, start)
        at = writer.directory(tags | found.pointers(writer))
        self.file.seek(start)
        self.file.write(writer.joined(start))
        self.file.seek(self.pointer)
        self.file.write(struct.pack(ORDER + "I", at))
        (count,) = struct.unpack_from(ORDER + "H", writer.parts[at])
        self.pointer = at + 2 + 12 * count
        self.file.seek(0, os.SEEK_END)


def _compressed(picture: Picture, rows: slice) -> bytes:
    """Differences from the left neighbour, deflated (TIFF 6.0, section 14)."""
    pixels = interleaved(picture, rows)
    differences: Array = pixels.copy()
    differences[:, 1:] -= pixels[:, :-1]
    kind = f"{ORDER}u2" if picture.deep else np.uint8
    return bytes(zlib_ng.compress(np.ascontiguousarray(differences, kind), LEVEL))


def _structure(
    picture: Picture, offsets: list[int], counts: list[int], page: bool
) -> ifd.Directory:
    """What tells how the pixels lie (TIFF 6.0, sections 3 to 8)."""
    channels, gray = picture.channels, picture.colour.ndim == 2
    rows = next(strips(picture.colour))
    tags = {
        0x0100: ifd.words(ORDER, ifd.LONG, picture.width),
        0x0101: ifd.words(ORDER, ifd.LONG, picture.height),
        0x0102: ifd.words(ORDER, ifd.SHORT, *[16 if picture.deep else 8] * channels),
        0x0103: ifd.words(ORDER, ifd.SHORT, _DEFLATE),
        0x0106: ifd.words(ORDER, ifd.SHORT, 1 if gray else 2),
        0x0111: ifd.words(ORDER, ifd.LONG, *offsets),
        0x0115: ifd.words(ORDER, ifd.SHORT, channels),
        0x0116: ifd.words(ORDER, ifd.LONG, rows.stop - rows.start),
        0x0117: ifd.words(ORDER, ifd.LONG, *counts),
        0x011C: ifd.words(ORDER, ifd.SHORT, 1),
        0x013D: ifd.words(ORDER, ifd.SHORT, _DIFFERENCES),
    }
    if page:
        tags[0x00FE] = ifd.words(ORDER, ifd.LONG, _A_PAGE)
    if picture.alpha is not None:
        tags[0x0152] = ifd.words(ORDER, ifd.SHORT, _UNASSOCIATED)
    return tags


def _about(metadata: Metadata) -> tuple[ifd.Directory, exif.Exif]:
    """Tags beside those of the pixels; and the EXIF whose other directories belong below them."""
    found = exif.Exif.parse(metadata.exif)[0] if metadata.exif else exif.Exif(ORDER)
    found = found if found.order == ORDER else found.swapped()
    tags = {code: tag for code, tag in found.main.items() if code in exif.DESCRIPTIVE}
    tags |= _resolution(metadata.dpi)
    if metadata.icc:
        tags[exif.ICC] = ifd.Tag(ifd.UNDEFINED, len(metadata.icc), metadata.icc)
    if metadata.xmp:
        tags[exif.XMP] = ifd.Tag(ifd.BYTE, len(metadata.xmp), metadata.xmp)
    if metadata.iptc:  # as numbers of four bytes, which is what others expect
        body = metadata.iptc + bytes(-len(metadata.iptc) % 4)
        tags[exif.IPTC] = ifd.Tag(ifd.LONG, len(body) // 4, body)
    return tags, found


def _resolution(dpi: tuple[float, float] | None) -> ifd.Directory:
    """Tags that every TIFF has; without a resolution they say that pixels are square."""
    found = exif.Exif(ORDER)
    found.set_dpi(dpi or (1, 1))
    if dpi is None:
        found.main[exif.UNIT] = ifd.words(ORDER, ifd.SHORT, _NO_UNIT)
    return found.main
