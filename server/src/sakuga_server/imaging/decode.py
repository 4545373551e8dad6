"""Files to pictures: every kind that people send, and no more pixels than the limits allow."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from sakuga_core.config.server import Limits
from sakuga_core.errors import BadImage, TooLarge
from sakuga_server.imaging.picture import Array, Metadata, Picture, strips

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
ALLOWED = "PNG, JPEG, WebP, BMP, TIFF or GIF"

_pillows_limit = RLock()  # which belongs to the whole process

# Pillow's modes whose samples have more than 8 bits, or aren't whole numbers.
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")

# A TIFF's EXIF stands among tags that tell how its own pixels lie; these describe the picture.
_TAG = ExifTags.Base
DESCRIPTIVE = {
    *(_TAG.ImageDescription, _TAG.Make, _TAG.Model, _TAG.Software, _TAG.DateTime, _TAG.Artist),
    *(_TAG.Copyright, _TAG.XResolution, _TAG.YResolution, _TAG.ResolutionUnit),
    *(_TAG.ExifOffset, _TAG.GPSInfo, _TAG.Rating),
}


def decode(data: bytes, limits: Limits) -> Picture:
    """Decodes a picture file, upright.

    Args:
        data: an encoded file: PNG, JPEG, WebP, BMP, TIFF or GIF (its first frame).
        limits: `input_bytes` and `input_pixels` are checked before the pixels are decoded.

    Raises:
        BadImage: `data` is empty, of another kind, truncated or damaged.
        TooLarge: over a limit.
    """
    if not data:
        raise BadImage("the image is empty (0 bytes)")
    if len(data) > limits.input_bytes:
        raise TooLarge(f"the file has {len(data)} bytes; allowed: {limits.input_bytes}")
    with _without_pillows_limit(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata that we don't use
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as file:
                _check_size(file, limits)
                return _read(file, data)
        except UnidentifiedImageError:
            raise BadImage(f"the image is of no known kind; allowed: {ALLOWED}") from None
        except (OSError, SyntaxError, ValueError, EOFError, cv2.error) as error:
            raise BadImage(f"the image is truncated or damaged ({_first_line(error)})") from error


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """The limits are checked before any pixel is decoded; Pillow's own would refuse what they
    allow. After the block it holds again, for whatever else this process does."""
    with _pillows_limit:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _check_size(file: Image.Image, limits: Limits) -> None:
    pixels = file.width * file.height
    if pixels > limits.input_pixels:
        raise TooLarge(
            f"the image has {file.width}x{file.height} = {pixels} pixels; "
            f"allowed: {limits.input_pixels}"
        )


def _read(file: Image.Image, data: bytes) -> Picture:
    notes = []
    if getattr(file, "is_animated", False) and file.format != "MPO":
        notes.append("the file has several frames; only the first was used")
    if file.mode == "F" or (file.format == "TIFF" and _tiff_bits(file) > 16):
        raise BadImage("the image has more than 16 bits a sample; allowed: 8 or 16")
    exif = file.getexif()
    # Both decoders turn TIFFs by themselves.
    orientation = 1 if file.format == "TIFF" else exif.get(ExifTags.Base.Orientation, 1)
    icc = file.info.get("icc_profile")
    if _is_deep(file, data):
        colour, alpha = _deep(file, data)
    else:
        rgb = file
        if file.mode == "CMYK":
            rgb, icc = _cmyk_to_srgb(file, icc), None
        colour, alpha = _shallow(rgb)
    # Last, since loading a TIFF's pixels still reads the orientation that this sets to 1.
    metadata = Metadata(icc or None, _upright(file, exif))
    turned = None if alpha is None else orient(alpha, orientation)
    return Picture(orient(colour, orientation), turned, metadata, notes, orientation)


def _is_deep(file: Image.Image, data: bytes) -> bool:
    # Pillow reads 16-bit RGB files as 8-bit ones, so the files themselves are read.
    if file.format == "PNG":
        return data[24] == 16  # IHDR's bit depth
    return file.mode in _DEEP_MODES or (file.format == "TIFF" and _tiff_bits(file) == 16)


def _tiff_bits(file: Image.Image) -> int:
    bits: tuple[int, ...] = file.tag_v2.get(ExifTags.Base.BitsPerSample, (1,))  # type: ignore[attr-defined]
    return max(bits)


def _deep(file: Image.Image, data: bytes) -> tuple[Array, Array | None]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise BadImage("the 16-bit image is damaged, or of a kind that can't be read")
    if file.width != pixels.shape[1] or file.height != pixels.shape[0]:
        raise BadImage("the 16-bit image contradicts its own header")
    if pixels.ndim == 2:
        return pixels, None
    alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] == 4 else None
    if file.format == "PNG" and data[25] == 4:  # IHDR's colour type: gray with alpha
        return np.ascontiguousarray(pixels[..., 0]), alpha
    code = cv2.COLOR_BGR2RGB if alpha is None else cv2.COLOR_BGRA2RGB
    colour = pixels if alpha is None else np.empty((*pixels.shape[:2], 3), np.uint16)
    for rows in strips(pixels):  # in place, where there is no alpha
        colour[rows] = cv2.cvtColor(pixels[rows], code)
    return colour, alpha


def _shallow(file: Image.Image) -> tuple[Array, Array | None]:
    gray = file.mode in ("1", "L", "LA", "La")
    transparent = file.has_transparency_data
    mode = ("L" if gray else "RGB") + ("A" if transparent else "")
    size = (file.height, file.width)
    colour = np.empty(size if gray else (*size, 3), np.uint8)
    alpha = np.empty(size, np.uint8) if transparent else None
    # Strip by strip, as Pillow would hold the picture three times on the way to an array.
    for rows in strips(colour):
        strip = np.asarray(file.crop((0, rows.start, file.width, rows.stop)).convert(mode))
        if alpha is None:
            colour[rows] = strip
        else:
            colour[rows] = strip[..., 0] if gray else cv2.cvtColor(strip, cv2.COLOR_RGBA2RGB)
            alpha[rows] = strip[..., -1]
    return colour, alpha


def _cmyk_to_srgb(file: Image.Image, icc: bytes | None) -> Image.Image:
    """Through the file's own profile, where it has a sound one; else Pillow's plain conversion."""
    if icc:
        try:
            target = ImageCms.createProfile("sRGB")
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            turned = ImageCms.profileToProfile(file, source, target, outputMode="RGB")
            if turned is not None:
                return turned
        except (ImageCms.PyCMSError, OSError):
            pass
    return file.convert("RGB")


def _upright(file: Image.Image, exif: Image.Exif) -> bytes | None:
    if not exif:
        return None
    if file.format == "TIFF":
        for tag in set(exif) - DESCRIPTIVE:
            del exif[tag]
    exif[ExifTags.Base.Orientation] = 1  # the pixels are turned: the tag must not do it again
    return exif.tobytes().removeprefix(b"Exif\0\0")


def orient(pixels: Array, orientation: int) -> Array:
    """`pixels` turned and mirrored as EXIF's orientation (1 to 8) asks; others mean 1."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
