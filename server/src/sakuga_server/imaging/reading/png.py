"""PNG through libpng, which gives samples of 8 and 16 bits, and tRNS as alpha."""

import re
import struct
from collections.abc import Iterable

import imagecodecs

from sakuga_core.config.server import Limits
from sakuga_core.errors import BadImage
from sakuga_server.imaging.metadata.chunks import chunks
from sakuga_server.imaging.reading.checks import blaming, check_size, damaged, library_warnings
from sakuga_server.imaging.reading.samples import FRAMES, Samples

_INDEXED = 3  # a colour type


def read(data: bytes, limits: Limits) -> Samples:
    """
    Raises:
        BadImage: truncated or damaged.
        TooLarge: over the limit of pixels; nothing has been decoded yet.
    """
    if data[12:16] != b"IHDR" or len(data) < 33:
        raise damaged("PNG", "it has no header")
    width, height = struct.unpack_from(">II", data, 16)
    check_size(width, height, limits, "PNG")
    warnings = _warnings(data)
    with blaming("PNG"), library_warnings() as found:
        values = imagecodecs.png_decode(data)
    if values.shape[:2] != (height, width):
        raise BadImage("the PNG file contradicts its own header")
    warnings += [f"the PNG file is damaged: {each}" for each in _of_pixels(found)]
    values = values.reshape(height, width, -1)
    channels = values.shape[2]
    return Samples(
        values,
        "gray" if channels < 3 else "rgb",
        alpha=channels - 1 if channels in (2, 4) else None,
        warnings=warnings,
    )


def _warnings(data: bytes) -> list[str]:
    """
    Raises:
        BadImage: there is no palette, for which libpng has no words.
    """
    found, palette = [], data[25] != _INDEXED
    for kind, body, right in chunks(data):
        palette |= kind == b"PLTE"
        if kind == b"acTL" and len(body) == 8 and int.from_bytes(body[:4], "big") > 1:
            found.append(FRAMES)
        if kind == b"tRNS" and not right:
            found.append("the PNG file's transparency is damaged (wrong checksum); it was dropped")
        if kind == b"IDAT":
            break
    if not palette:
        raise damaged("PNG", "it has no palette")
    return found


def _of_pixels(warnings: Iterable[str]) -> list[str]:
    """libpng's warnings but for those on chunks beside the pixels, which are read elsewhere."""
    found = (warning.removeprefix("PNG warning: ") for warning in warnings)
    return [warning for warning in found if not re.match("[a-z][A-Za-z]{3}: ", warning)]
