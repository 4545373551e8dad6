"""Reads the metadata of a file, whatever state it is in."""

import logging
from collections.abc import Callable
from textwrap import shorten
from typing import TypeVar

from PIL import Image

from sakuga_server.imaging.metadata import (
    boxes,
    icc,
    jpeg,
    others,
    photoshop,
    png,
    resolution,
    xmp,
)
from sakuga_server.imaging.metadata.exif import ORIENTATION, Exif
from sakuga_server.imaging.metadata.raw import Budget, Raw
from sakuga_server.imaging.metadata.record import Color, Metadata

LIMIT = 16 * 2**20

T = TypeVar("T")

_log = logging.getLogger(__name__)

_READERS: dict[str, Callable[[bytes, Budget], Raw]] = {
    "png": png.read,
    "jpeg": jpeg.read,
    "webp": others.webp,
    "gif": others.gif,
    "tiff": others.tiff,
    "bmp": others.bmp,
    "psd": others.psd,
}
_READERS_WITH_PILLOW: dict[str, Callable[[bytes, Image.Image | None], Raw]] = {
    "avif": boxes.heif,
    "heic": boxes.heif,
    "jxl": boxes.jxl,
}
# Their decoders apply the container's orientation, which EXIF repeats.
_UPRIGHT = ("heic", "jxl")


def read(
    data: bytes, format: str, image: Image.Image | None, limit: int = LIMIT
) -> tuple[Metadata, list[str]]:
    """A file's metadata.

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
        return _checked(_raw(data, format, image, budget), budget), budget.warnings
    except Exception as error:  # of a parser, on bytes of a stranger: they mustn't cost the pixels
        _log.info("unreadable metadata of a %s file: %r", format, error)
        budget.damaged("metadata")
        return Metadata(), budget.warnings


def orientation(data: bytes, format: str, image: Image.Image | None) -> int:
    """The orientation of a file's pixels, by its EXIF, or else its XMP.

    Returns:
        1 to 8; 1 where neither has one, and for formats whose decoders have applied it.
        Nothing is raised.
    """
    if format in _UPRIGHT:
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
    if format in _READERS_WITH_PILLOW:
        return _READERS_WITH_PILLOW[format](data, image)
    return _READERS[format](data, budget) if format in _READERS else Raw()


def _checked(raw: Raw, budget: Budget) -> Metadata:
    """Everything that is sound and within the limit; the rest is a warning each."""
    exif = _exif(raw.exif, budget)
    in_exif = resolution.sound(exif.dpi) if exif else None
    comment = _sound("comment", b"\n".join(raw.comments), bytes, budget)
    return Metadata(
        icc=_sound("ICC profile", raw.icc, icc.checked, budget),
        exif=exif.to_bytes() if exif else None,
        xmp=_xmp(raw, budget),
        iptc=_sound("IPTC", raw.iptc, photoshop.checked_iptc, budget),
        comment=comment,
        dpi=resolution.sound(raw.dpi) or in_exif,
        text=tuple(raw.text),
        color=Color(**raw.color) if raw.color else None,
    )


def _exif(found: bytes | Exif | None, budget: Budget) -> Exif | None:
    if isinstance(found, Exif):
        exif = found if budget.keeps("EXIF", len(found.to_bytes())) else None
    else:
        exif = _sound("EXIF", found, lambda data: _parsed(data, budget), budget)
    if exif is None:
        return None
    exif.upright()
    exif.sound_resolution()
    return exif if exif.photo or exif.gps or set(exif.main) - {ORIENTATION} else None


def _parsed(data: bytes, budget: Budget) -> Exif:
    exif, damaged = Exif.parse(data)
    if damaged:
        budget.warn("parts of the file's EXIF are damaged; they were dropped")
    return exif


def _xmp(raw: Raw, budget: Budget) -> bytes | None:
    packet = _sound("XMP", raw.xmp, xmp.checked, budget)
    rest = _sound("extended XMP", raw.xmp_rest, xmp.checked, budget)
    if packet and rest:
        both = (packet, rest)
        packet = _tried("extended XMP", lambda: xmp.merged(*both), budget) or packet
    return xmp.upright(packet) if packet else None


def _sound(name: str, data: bytes | None, check: Callable[[bytes], T], budget: Budget) -> T | None:
    if not data or not budget.keeps(name, len(data)):
        return None
    return _tried(name, lambda: check(data), budget)


def _tried(name: str, work: Callable[[], T], budget: Budget) -> T | None:
    try:
        return work()
    except Exception as error:  # of a parser, on bytes of a stranger: they mustn't cost the pixels
        budget.damaged(name, shorten(next(iter(str(error).splitlines()), ""), 100, placeholder="…"))
        return None
