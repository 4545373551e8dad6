"""Pictures to files, with their colour profile and EXIF."""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

from sakuga.errors import TooLarge
from sakuga.options import Format
from sakuga_server.pipelines.picture import Array, Metadata, Picture

LARGEST_SIDE = {"webp": 16383, "jpeg": 65535}  # what the formats can say
LONGEST_JPEG_EXIF = 65535 - 2 - 6  # a segment, less its length field and "Exif\0\0"


def encode(picture: Picture, format: Format, quality: int | None, keep_metadata: bool) -> bytes:
    """Encodes a picture. What the format can't hold is said in `picture.warnings`.

    Args:
        picture: 8 or 16 bits; gray or RGB; with or without alpha.
        format: png keeps everything; webp and jpeg have 8 bits, jpeg has no alpha.
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
    return _lossy(_flattened(_shallow(picture), format), format, quality, metadata)


def _png(picture: Picture, metadata: Metadata) -> bytes:
    if picture.colour.ndim == 2 and picture.alpha is not None and not picture.deep:
        pixels = np.dstack((picture.colour, picture.alpha))  # OpenCV writes no gray with alpha
        data = _pillow(pixels, "PNG", compress_level=1)
    else:
        done, encoded = cv2.imencode(".png", _bgr(picture))
        if not done:
            raise TooLarge(f"png can't hold {picture.width}x{picture.height} pixels")
        data = encoded.tobytes()
    return _with_chunks(data, metadata)


def _bgr(picture: Picture) -> Array:
    """The order OpenCV wants: gray, BGR or BGRA."""
    colour = picture.colour
    if picture.alpha is None:
        return colour if colour.ndim == 2 else cv2.cvtColor(colour, cv2.COLOR_RGB2BGR)
    code = cv2.COLOR_GRAY2BGRA if colour.ndim == 2 else cv2.COLOR_RGB2BGRA
    pixels = cv2.cvtColor(colour, code)
    pixels[..., 3] = picture.alpha
    return pixels


def _with_chunks(png: bytes, metadata: Metadata) -> bytes:
    """`png` with iCCP and eXIf behind its header (PNG specification, third edition, 11.3)."""
    chunks = b""
    if metadata.icc:
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc))
    if metadata.exif:
        chunks += _chunk(b"eXIf", metadata.exif)
    header = 8 + 25  # the signature, and IHDR, whose length is fixed
    return b"".join((png[:header], chunks, memoryview(png)[header:])) if chunks else png


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _shallow(picture: Picture) -> Picture:
    if not picture.deep:
        return picture
    picture.warnings.append("the format holds 8 bits a sample; png keeps all 16")
    alpha = None if picture.alpha is None else to_8_bit(picture.alpha)
    return Picture(to_8_bit(picture.colour), alpha, picture.metadata, picture.warnings)


def to_8_bit(pixels: Array) -> Array:
    """uint16 to uint8, rounded to the nearest: 65535 is 255."""
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _flattened(picture: Picture, format: Format) -> Picture:
    if format != "jpeg" or picture.alpha is None:
        return picture
    picture.warnings.append("jpeg holds no transparency; the picture was laid over white")
    alpha = picture.alpha.astype(np.float32) / 255
    alpha = alpha[..., None] if picture.colour.ndim == 3 else alpha
    colour = np.rint(picture.colour * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return Picture(colour, None, picture.metadata, picture.warnings)


def _lossy(picture: Picture, format: Format, quality: int | None, metadata: Metadata) -> bytes:
    pixels = picture.colour
    if picture.alpha is not None:
        colour = pixels if pixels.ndim == 3 else np.dstack((pixels,) * 3)
        pixels = np.dstack((colour, picture.alpha))
    kept = {"icc_profile": metadata.icc} if metadata.icc else {}
    if metadata.exif and format == "jpeg" and len(metadata.exif) > LONGEST_JPEG_EXIF:
        picture.warnings.append("jpeg can't hold so long an EXIF; it was left out")
    elif metadata.exif:
        kept["exif"] = b"Exif\0\0" + metadata.exif
    if format == "jpeg":
        # 4:4:4: halved chroma bleeds over the hard edges of drawn art.
        return _pillow(pixels, "JPEG", quality=quality or 95, subsampling=0, **kept)
    if quality is None:
        return _pillow(pixels, "WEBP", lossless=True, method=0, exact=True, **kept)
    return _pillow(pixels, "WEBP", quality=quality, method=4, **kept)


def _pillow(pixels: Array, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()
