"""Metadata out of a file, whatever state it is in."""

import logging
from collections.abc import Callable

from PIL import Image

from sakuga_server.imaging.metadata import from_boxes, from_jpeg, from_others, from_png, xmp
from sakuga_server.imaging.metadata.budget import Budget
from sakuga_server.imaging.metadata.exif import Exif
from sakuga_server.imaging.metadata.raw import Raw
from sakuga_server.imaging.metadata.record import Metadata

LIMIT = 16 * 2**20

_log = logging.getLogger(__name__)

_READERS: dict[str, Callable[[bytes, Budget], Raw]] = {
    "png": from_png.read,
    "jpeg": from_jpeg.read,
    "webp": from_others.webp,
    "gif": from_others.gif,
    "tiff": from_others.tiff,
    "bmp": from_others.bmp,
    "psd": from_others.psd,
}
# Their decoders turn the pixels by what the container says, and EXIF says it once more.
_TURNED = ("heic", "jxl")


def read(
    data: bytes, format: str, image: Image.Image | None, limit: int = LIMIT
) -> tuple[Metadata, list[str]]:
    """What a file says beside its pixels.

    Args:
        data: the encoded file.
        format: a name of `sakuga_core.formats.FORMATS`.
        image: the same file, opened by Pillow; None where Pillow doesn't read its format.
        limit: bytes, decompressed, that all of it together may have.

    Returns:
        The metadata, and a warning for each part that was damaged, hostile or over the limit; such
        a part is left out. Nothing is raised.
    """
    budget = Budget(limit)
    try:
        return _raw(data, format, image, budget).checked(budget), budget.warnings
    except Exception as error:  # of a parser, on bytes of a stranger: they mustn't cost the pixels
        _log.info("unreadable metadata of a %s file: %r", format, error)
        budget.damaged("metadata")
        return Metadata(), budget.warnings


def orientation(data: bytes, format: str, image: Image.Image | None) -> int:
    """How EXIF, or else XMP, says that the file's pixels are turned.

    Returns:
        1 to 8; 1 where it says nothing, and for formats whose decoders have turned the pixels.
        Nothing is raised.
    """
    if format in _TURNED:
        return 1
    try:
        raw = _raw(data, format, image, Budget(LIMIT))
        if raw.exif:
            exif = raw.exif if isinstance(raw.exif, Exif) else Exif.parse(raw.exif)[0]
            if exif.orientation != 1:
                return exif.orientation
        return xmp.orientation(raw.xmp or b"")
    except Exception as error:
        _log.info("unreadable orientation of a %s file: %r", format, error)
        return 1


def _raw(data: bytes, format: str, image: Image.Image | None, budget: Budget) -> Raw:
    if format in ("avif", "heic"):
        return from_boxes.heif(data, image)
    if format == "jxl":
        return from_boxes.jxl(data, image)
    reader = _READERS.get(format)
    return reader(data, budget) if reader is not None else Raw()
