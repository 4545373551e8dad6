"""Pictures to files, with their colour profile and EXIF; or to bare pixels.

Whatever needs memory of its own works on strips, so that no second picture of full size appears.
"""

import io
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cv2
import numpy as np
from PIL import Image
from zlib_ng import zlib_ng

from sakuga_core.errors import TooLarge
from sakuga_core.options import Format
from sakuga_server.imaging.picture import Array, Metadata, Picture, rgb, strips

LARGEST_SIDE = {"webp": 16383, "jpeg": 65535}  # what the formats can say
LONGEST_JPEG_EXIF = 65535 - 2 - 6  # a segment, less its length field and "Exif\0\0"
MOST_RAW_BYTES = 2**31 - 2**20  # protobuf's longest message, with room for the report

# The fastest of zlib-ng that keeps files of upscaled drawings within a tenth of those of Pillow's
# default (benchmarks/codecs.py): on 14 drawings 0.99 to 1.08 of it in colour or lines, up to 1.10
# in gray. Level 2 takes 14 % less time, for 1.01 to 1.15 of it; level 4 takes 22 % more, for 2 %
# less.
LEVEL = 3

# PNG's filters (third edition, 9.2) but for Paeth's: on upscaled drawings another one was always
# smaller, or less than 1 % larger, and that one takes numpy many more steps.
NONE, SUB, UP, AVERAGE = FILTERS = range(4)
BANDS, BAND = 4, 8  # the filters are tried on so many bands of so many rows


def encode(picture: Picture, format: Format, quality: int | None, keep_metadata: bool) -> bytes:
    """Encodes a picture. What the format can't hold is a warning in `picture.warnings`.

    Args:
        picture: 8 or 16 bits; gray or RGB; with or without alpha.
        format: png keeps everything; webp and jpeg have 8 bits, jpeg has no alpha. raw is no file
            but the pixels, (1, H, W, C) in C order: uint8, or uint16 with the low byte first. C is
            1 for gray, 3 for RGB, and one more with alpha.
        quality: 1 to 100; left out, jpeg takes 95 and webp is lossless.
        keep_metadata: write the ICC profile and EXIF.

    Raises:
        TooLarge: the format can't hold so wide or so high a picture.
    """
    side, most = max(picture.width, picture.height), LARGEST_SIDE.get(format)
    if most and side > most:
        raise TooLarge(f"the result is {side} pixels long; {format} allows {most}, png more")
    metadata = picture.metadata if keep_metadata else Metadata()
    if format == "png":
        return _png(picture, metadata)
    if format == "raw":
        return _raw(picture, metadata)
    return _lossy(_flattened(_shallow(picture), format), format, quality, metadata)


def _png(picture: Picture, metadata: Metadata) -> bytes:
    """Strips are filtered and deflated side by side, and written in their order."""
    file = io.BytesIO()  # grows in place, and gives its bytes away without a copy
    file.write(b"\x89PNG\r\n\x1a\n" + _header(picture) + _about(metadata))
    file.write(_chunk(b"IDAT", b"\x78\x01"))  # zlib's header (RFC 1950)
    adler = 1
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        sizes = pool.map(partial(_tried, picture), FILTERS)
        _, best = min(zip(sizes, FILTERS, strict=True))
        deflate = partial(_deflated, picture, best)
        for chunk, sum_, length in pool.map(deflate, strips(picture.colour)):
            file.write(chunk)
            adler = _joined(adler, sum_, length)
    # An empty last block, for which no strip has to know that it is the last one.
    file.write(_chunk(b"IDAT", b"\x03\x00" + struct.pack(">I", adler)) + _chunk(b"IEND", b""))
    return file.getvalue()


def _header(picture: Picture) -> bytes:
    kind = (0 if picture.colour.ndim == 2 else 2) + (0 if picture.alpha is None else 4)
    depth = 16 if picture.deep else 8
    body = struct.pack(">IIBBBBB", picture.width, picture.height, depth, kind, 0, 0, 0)
    return _chunk(b"IHDR", body)


def _about(metadata: Metadata) -> bytes:
    """iCCP and eXIf, which stand before the pixels (PNG specification, third edition, 11.3)."""
    chunks = b""
    if metadata.icc:
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib_ng.compress(metadata.icc))
    if metadata.exif:
        chunks += _chunk(b"eXIf", metadata.exif)
    return chunks


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib_ng.crc32(body, zlib_ng.crc32(kind))
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", check)))


def _tried(picture: Picture, filter: int) -> int:
    """Bytes that a few bands take with a filter."""
    tops = range(0, picture.height, max(BAND, -(-picture.height // BANDS)))
    bands = (slice(top, min(top + BAND, picture.height)) for top in tops)
    return sum(len(_deflated(picture, filter, band)[0]) for band in bands)


def _deflated(picture: Picture, filter: int, rows: slice) -> tuple[bytes, int, int]:
    """Some rows as a chunk of whole deflate blocks; Adler-32 and length of what is in them."""
    raw = _filtered(picture, filter, rows)
    engine = zlib_ng.compressobj(LEVEL, zlib_ng.DEFLATED, -zlib_ng.MAX_WBITS)
    body = engine.compress(raw) + engine.flush(zlib_ng.Z_SYNC_FLUSH)
    return _chunk(b"IDAT", body), zlib_ng.adler32(raw), raw.size


def _joined(first: int, second: int, length: int) -> int:
    """Adler-32 of two pieces one after the other, of which the second has `length` bytes."""
    base = 65521  # RFC 1950, 8.2
    low, high = first & 0xFFFF, first >> 16
    sum_ = (low + (second & 0xFFFF) - 1) % base
    return ((high + (second >> 16) + length * (low - 1)) % base) << 16 | sum_


def _filtered(picture: Picture, filter: int, rows: slice) -> Array:
    """Some rows as PNG has them: each is its filter's number, and what that leaves of its bytes."""
    above, step = max(rows.start - 1, 0), _samples(picture, slice(0, 1))[0, 0].nbytes
    lines = _samples(picture, slice(above, rows.stop))
    lines = lines.view(np.uint8).reshape(len(lines), -1)
    if rows.start == 0:  # the first row's upper neighbour is black
        lines = np.concatenate((np.zeros_like(lines[:1]), lines))
    raw = np.empty((len(lines) - 1, 1 + lines.shape[1]), np.uint8)
    raw[:, 0] = filter
    np.subtract(lines[1:], _predicted(lines, filter, step), out=raw[:, 1:])
    return raw


def _predicted(lines: Array, filter: int, step: int) -> Array:
    """What a filter expects of all lines but the first, from the bytes above and `step` before."""
    above = lines[:-1]
    if filter == UP:
        return above
    left = np.zeros_like(above)
    if filter == NONE:
        return left
    left[:, step:] = lines[1:, :-step]
    return left if filter == SUB else (left & above) + ((left ^ above) >> 1)


def _samples(picture: Picture, rows: slice, order: str = ">") -> Array:
    """Some rows with colour and alpha by turns.

    Args:
        order: of the bytes of 16 bits; PNG's has the high one first.
    """
    pixels = _interleaved(picture, rows)
    return np.ascontiguousarray(pixels, f"{order}u2" if picture.deep else np.uint8)


def _interleaved(picture: Picture, rows: slice = slice(None)) -> Array:
    """Some rows with their alpha as the last channel, where there is one."""
    colour = picture.colour[rows]
    return colour if picture.alpha is None else cv2.merge((colour, picture.alpha[rows]))


def _raw(picture: Picture, metadata: Metadata) -> bytes:
    """
    Raises:
        TooLarge: no message can carry so many bytes.
    """
    size = picture.width * picture.height * picture.channels * picture.colour.itemsize
    if size > MOST_RAW_BYTES:
        raise TooLarge(f"the result has {size} bytes of pixels; raw allows {MOST_RAW_BYTES}")
    named = {"ICC profile": metadata.icc, "EXIF": metadata.exif}
    if lost := ", ".join(name for name, value in named.items() if value):
        picture.warnings.append(f"raw holds no metadata; left out: {lost}")
    file = io.BytesIO()  # which takes strips as they lie in memory
    for rows in strips(picture.colour):
        file.write(_samples(picture, rows, "<").data)
    return file.getvalue()


def _shallow(picture: Picture) -> Picture:
    if not picture.deep:
        return picture
    picture.warnings.append("the format holds 8 bits a sample; png keeps all 16")
    alpha = None if picture.alpha is None else to_8_bit(picture.alpha)
    return Picture(to_8_bit(picture.colour), alpha, picture.metadata, picture.warnings)


def to_8_bit(pixels: Array) -> Array:
    """uint16 to uint8, rounded to the nearest: 65535 is 255."""
    result = np.empty(pixels.shape, np.uint8)
    for rows in strips(pixels):
        result[rows] = (pixels[rows].astype(np.uint32) + 128) // 257
    return result


def _flattened(picture: Picture, format: Format) -> Picture:
    if format != "jpeg" or picture.alpha is None:
        return picture
    picture.warnings.append("jpeg holds no transparency; the picture was laid over white")
    colour = np.empty_like(picture.colour)
    for rows in strips(colour):
        alpha = picture.alpha[rows].astype(np.float32) / 255
        alpha = alpha[..., None] if colour.ndim == 3 else alpha
        colour[rows] = np.rint(picture.colour[rows] * alpha + 255 * (1 - alpha))
    return Picture(colour, None, picture.metadata, picture.warnings)


def _lossy(picture: Picture, format: Format, quality: int | None, metadata: Metadata) -> bytes:
    if picture.alpha is not None:  # WebP has no gray with alpha
        picture = Picture(rgb(picture.colour), picture.alpha, warnings=picture.warnings)
    pixels = _interleaved(picture)
    kept = {"icc_profile": metadata.icc} if metadata.icc else {}
    if metadata.exif and format == "jpeg" and len(metadata.exif) > LONGEST_JPEG_EXIF:
        picture.warnings.append("jpeg can't hold so long an EXIF; it was left out")
    elif metadata.exif:
        kept["exif"] = b"Exif\0\0" + metadata.exif
    if format == "jpeg":
        # 4:4:4: halved chroma bleeds over the hard edges of drawn art.
        return _pillow(pixels, "JPEG", quality=quality or 95, subsampling=0, **kept)
    if quality is None:
        # Its quality is effort: from 80, the default, on, four times as long for 2 % less.
        return _pillow(pixels, "WEBP", lossless=True, method=0, quality=20, exact=True, **kept)
    return _pillow(pixels, "WEBP", quality=quality, method=4, **kept)


def _pillow(pixels: Array, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()
