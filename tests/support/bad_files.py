"""Sound files of every format to be damaged, and what a damaged one has to give."""

import struct
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from pictures import (
    encoded,
    encoded_16,
    psd,
    sample,
    saved,
    tiff,
)
from sakuga import BadImage, TooLarge
from sakuga_core.config.server import Limits
from sakuga_server.imaging.decode import decode

LIMITS = Limits()
WIDTH, HEIGHT = 96, 64
RGB = sample("sunset", (0, 0, WIDTH, HEIGHT)).copy()
RGBA = np.dstack((RGB, RGB[..., 0]))
RGB_16 = RGB.astype(np.uint16) * 257
LINES = Image.fromarray(RGB[..., 0] > 99)
SQUARE = Image.fromarray(RGB[:64, :64])

COUNT = 20  # of variants of each kind


def heic() -> bytes:
    pytest.importorskip("pillow_heif").register_heif_opener()
    return encoded(RGB, "HEIF")


MADE: dict[str, Callable[[], bytes]] = {
    "png": lambda: encoded(RGB),
    "png-16": lambda: encoded_16(RGB_16),
    "png-palette": lambda: saved(Image.fromarray(RGB).quantize(50), "PNG", transparency=3),
    "jpeg": lambda: encoded(RGB, "JPEG"),
    "jpeg-progressive": lambda: encoded(RGB, "JPEG", progressive=True),
    "jpeg-cmyk": lambda: saved(Image.fromarray(RGBA, "CMYK"), "JPEG"),
    "webp": lambda: encoded(RGB, "WEBP"),
    "webp-lossless": lambda: encoded(RGBA, "WEBP", lossless=True),
    "gif": lambda: encoded(RGB, "GIF"),
    "avif": lambda: encoded(RGBA, "AVIF"),
    "tiff": lambda: tiff(RGB),
    "tiff-16-lzw": lambda: tiff(RGB_16, compression="lzw", predictor=True, rowsperstrip=8),
    "tiff-planes": lambda: tiff(
        RGB.transpose(2, 0, 1).copy(),
        photometric="rgb",
        planarconfig="separate",
        compression="zlib",
    ),
    "tiff-tiles": lambda: tiff(RGB_16, compression="zlib", tile=(16, 32)),
    "tiff-cmyk": lambda: tiff(RGBA, photometric="separated", compression="packbits"),
    "tiff-jpeg": lambda: tiff(RGB, compression="jpeg", tile=(16, 16)),
    "tiff-fax": lambda: saved(LINES, "TIFF", compression="group4"),
    "tiff-palette": lambda: saved(Image.fromarray(RGB).quantize(16), "TIFF"),
    "bmp": lambda: encoded(RGB, "BMP"),
    "tga": lambda: encoded(RGB, "TGA"),
    "tga-rle": lambda: encoded(RGBA, "TGA", compression="tga_rle"),
    "qoi": lambda: imagecodecs.qoi_encode(RGB),
    "heic": heic,
    "jxl": lambda: imagecodecs.jpegxl_encode(RGB),
    "jxl-16": lambda: imagecodecs.jpegxl_encode(RGB_16, lossless=True),
    "psd": lambda: psd(RGBA),
    "ico": lambda: saved(SQUARE, "ICO", sizes=[(64, 64)]),
    "ico-bmp": lambda: saved(SQUARE, "ICO", sizes=[(64, 64)], bitmap_format="bmp"),
}


def refused(data: bytes, limits: Limits = LIMITS) -> str:
    """What the error says; it is the caller's, and its text is short and without our insides."""
    with pytest.raises((BadImage, TooLarge)) as caught:
        decode(data, limits)
    text = str(caught.value)
    assert 20 < len(text) < 300
    assert " at 0x" not in text
    assert "site-packages" not in text
    return text


def put(data: bytes, at: int, form: str, *values: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(form, changed, at, *values)
    return bytes(changed)
