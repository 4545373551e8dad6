"""Files that claim another size than they have."""

import re
import struct
from collections.abc import Callable

from bad_files import put
from pictures import chunk


def lying_jpeg(data: bytes, width: int, height: int) -> bytes:
    at = next(data.index(mark) for mark in (b"\xff\xc0", b"\xff\xc2") if mark in data)
    return put(data, at + 5, ">HH", height, width)


def lying_png(data: bytes, width: int, height: int) -> bytes:
    body = struct.pack(">II", width, height) + data[24:29]
    return data[:8] + chunk(b"IHDR", body) + data[33:]


def lying_webp(data: bytes, width: int, height: int) -> bytes:
    if b"VP8 " in data:
        return put(data, data.index(b"\x9d\x01\x2a") + 3, "<HH", width, height)
    at = data.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", data, at)
    return put(data, at, "<I", bits >> 28 << 28 | (height - 1) << 14 | width - 1)


def lying_gif(data: bytes, width: int, height: int) -> bytes:
    at = data.index(b"\x2c\0\0\0\0")
    return put(put(data, 6, "<HH", width, height), at + 5, "<HH", width, height)


def lying_heif(data: bytes, width: int, height: int) -> bytes:
    for found in re.finditer(b"ispe", data):
        data = put(data, found.end() + 4, ">II", width, height)
    return data


def lying_tiff(data: bytes, width: int, height: int) -> bytes:
    for tag, value in ((256, width), (257, height)):
        heads = (struct.pack("<HHI", tag, kind, 1) for kind in (3, 4))
        at = next(data.index(head) for head in heads if head in data)
        data = put(data, at, "<HHII", tag, 4, 1, value)
    return data


def lying_icon(data: bytes, width: int, height: int) -> bytes:
    at = data.index(b"\x89PNG")
    return data[:at] + lying_png(data[at:], width, height)


def lying_bmp_icon(data: bytes, width: int, height: int) -> bytes:
    return put(put(data, 6, "<BB", width & 255, height & 255), 22 + 4, "<ii", width, 2 * height)


LIES: dict[str, Callable[[bytes, int, int], bytes]] = {
    "png": lying_png,
    "png-16": lying_png,
    "png-palette": lying_png,
    "jpeg": lying_jpeg,
    "jpeg-progressive": lying_jpeg,
    "jpeg-cmyk": lying_jpeg,
    "webp": lying_webp,
    "webp-lossless": lying_webp,
    "gif": lying_gif,
    "avif": lying_heif,
    "tiff": lying_tiff,
    "tiff-16-lzw": lying_tiff,
    "tiff-planes": lying_tiff,
    "tiff-tiles": lying_tiff,
    "tiff-cmyk": lying_tiff,
    "tiff-jpeg": lying_tiff,
    "tiff-fax": lying_tiff,
    "tiff-palette": lying_tiff,
    "bmp": lambda data, width, height: put(data, 18, "<ii", width, height),
    "tga": lambda data, width, height: put(data, 12, "<HH", width, height),
    "tga-rle": lambda data, width, height: put(data, 12, "<HH", width, height),
    "qoi": lambda data, width, height: put(data, 4, ">II", width, height),
    "heic": lying_heif,
    "psd": lambda data, width, height: put(data, 14, ">II", height, width),
    "ico": lying_icon,
    "ico-bmp": lying_bmp_icon,
}
