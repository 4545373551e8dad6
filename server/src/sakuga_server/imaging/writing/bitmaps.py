"""BMP, TGA and QOI: exact, of 8 bits, with hardly any metadata."""

import io
import struct

import imagecodecs
import numpy as np
from PIL import Image

from sakuga_server.imaging.metadata import Metadata
from sakuga_server.imaging.metadata.resolution import per_metre
from sakuga_server.imaging.picture import Picture, rgb, strips
from sakuga_server.imaging.samples import interleaved

HEADER = 124  # BITMAPV5HEADER, which says where alpha lies
_BITFIELDS = 3


def bmp(picture: Picture, metadata: Metadata) -> bytes:
    """Pillow's; with a fifth header for transparency, which Pillow doesn't write."""
    file = io.BytesIO()
    if picture.alpha is None:
        about = {"dpi": metadata.dpi} if metadata.dpi else {}
        Image.fromarray(picture.colour).save(file, "BMP", **about)
        return file.getvalue()
    whole = _with_rgb(picture)
    file.write(_header(whole, metadata))
    for rows in strips(whole.colour):  # from the top, as a negative height says
        pixels = interleaved(whole, rows)
        file.write(np.ascontiguousarray(pixels[..., [2, 1, 0, 3]]).data)
    return file.getvalue()


def tga(picture: Picture, metadata: Metadata) -> bytes:
    file = io.BytesIO()
    whole = picture if picture.alpha is None else _with_rgb(picture)  # no gray beside alpha
    Image.fromarray(interleaved(whole)).save(file, "TGA", rle=True)
    return file.getvalue()


def qoi(picture: Picture, metadata: Metadata) -> bytes:
    """qoiformat.org, version 1.0. Pillow's own writer takes three seconds per megapixel."""
    pixels = interleaved(_with_rgb(picture))
    return bytes(imagecodecs.qoi_encode(np.ascontiguousarray(pixels)))


def _with_rgb(picture: Picture) -> Picture:
    return Picture(rgb(picture.colour), picture.alpha)


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
