"""BMP: Pillow's, and one with a fifth header for transparency, which Pillow doesn't write."""

import io
import struct

import numpy as np

from sakuga_server.imaging.metadata import Metadata
from sakuga_server.imaging.metadata.resolution import per_metre
from sakuga_server.imaging.picture import Picture, rgb, strips
from sakuga_server.imaging.samples import interleaved
from sakuga_server.imaging.writing import pillow

HEADER = 124  # BITMAPV5HEADER, which says where alpha lies
_BITFIELDS = 3


def encoded(picture: Picture, metadata: Metadata) -> bytes:
    if picture.alpha is None:
        return pillow.bmp(picture, metadata)
    whole = Picture(rgb(picture.colour), picture.alpha)
    file = io.BytesIO()
    file.write(_header(whole, metadata))
    for rows in strips(whole.colour):  # from the top, as a negative height says
        pixels = interleaved(whole, rows)
        file.write(np.ascontiguousarray(pixels[..., [2, 1, 0, 3]]).data)
    return file.getvalue()


def _header(picture: Picture, metadata: Metadata) -> bytes:
    size = 4 * picture.width * picture.height
    resolution = per_metre(metadata.dpi) if metadata.dpi else (0, 0)
    start = 14 + HEADER
    masks = (0x00FF0000, 0x0000FF00, 0x000000FF, 0xFF000000)
    info = struct.pack(
        "<IiiHHIIiiII4I4s48xII8x",
        *(HEADER, picture.width, -picture.height, 1, 32, _BITFIELDS, size, *resolution, 0, 0),
        *(*masks, b"BGRs", 4, 0),  # sRGB; perceptual
    )
    return struct.pack("<2sIHHI", b"BM", start + size, 0, 0, start) + info
