"""Formats that Pillow reads, by itself or with the plugins of `sakuga-server[formats]`."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import RLock
from typing import BinaryIO

import numpy as np
from PIL import Image, TgaImagePlugin

from sakuga_core.config.server import Limits
from sakuga_core.errors import BadImage, TooLarge
from sakuga_core.formats import BY_NAME
from sakuga_server.imaging.picture import strips
from sakuga_server.imaging.reading.checks import blaming, check_size
from sakuga_server.imaging.reading.samples import FRAMES, Samples

EXTRA = "pip install 'sakuga-server[formats]'"

# Pillow's names, where they aren't ours in capitals.
_NAMES = {"heic": "HEIF"}

# Its modes, and those whose strips are samples as they are. What isn't here has no samples of 8 or
# 16 bits, or no colours that are known.
_GRAY = ("1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N")
_RGB = ("P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "YCbCr", "HSV")
_AS_STORED = ("CMYK", "La", "RGBa", "I;16", "I;16L", "I;16B", "I;16N")

_process = RLock()  # Pillow's limit and Python's warnings belong to the whole process


@contextmanager
def opened(data: bytes | BinaryIO, name: str, limits: Limits) -> Iterator[Image.Image]:
    """A file, open; nothing of its pixels is decoded yet.

    Args:
        data: the file, or what reads it.
        name: of a row of `sakuga_core.formats`.

    Raises:
        BadImage: damaged, or the packages for its format aren't installed.
        TooLarge: over the limit of pixels.
    """
    title = BY_NAME[name].title
    _check_plugin(name)
    with _limited(limits):
        with _decoding(title, limits):
            stream = io.BytesIO(data) if isinstance(data, bytes) else data
            file = Image.open(stream, formats=[_NAMES.get(name, name.upper())])
        with file:
            check_size(*file.size, limits, title)
            yield file


def is_tga(data: bytes) -> bool:
    """Whether a file can be TGA, which has no mark of its own."""
    try:
        TgaImagePlugin.TgaImageFile(io.BytesIO(data))
    except Exception:  # of Pillow, on bytes that are anything
        return False
    return True


def read(file: Image.Image, data: bytes, name: str, limits: Limits) -> Samples:
    """The samples of a file's current frame.

    Args:
        data: the file.
        name: of its row in `sakuga_core.formats`.

    Raises:
        BadImage: truncated, damaged, or of samples that aren't read.
        TooLarge: its pixels turned out to be more than its header says.
    """
    title = BY_NAME[name].title
    with _decoding(title, limits):
        file.load()
        transparent = file.has_transparency_data
    check_size(*file.size, limits, title)  # of an icon, those of the file within
    mode = _strip_mode(file, transparent, title)
    channels = len(Image.new(mode, (1, 1)).getbands())
    values = np.empty((file.height, file.width, channels), np.uint16 if "16" in mode else np.uint8)
    # Strip by strip, as Pillow would hold the picture three times on the way to an array.
    for rows in strips(values):
        with blaming(title):
            strip = file.crop((0, rows.start, file.width, rows.stop))
            strip = strip if mode == file.mode else strip.convert(mode)
        values[rows] = np.asarray(strip).reshape(-1, file.width, channels)
    return Samples(
        values,
        "cmyk" if mode == "CMYK" else "gray" if mode[0] in "LI" else "rgb",
        alpha=channels - 1 if mode[-1] in "Aa" else None,
        matte="black" if mode[-1] == "a" else None,
        warnings=_warnings(file, data, name),
    )


def _strip_mode(file: Image.Image, transparent: bool, title: str) -> str:
    if file.mode in _AS_STORED:
        return file.mode
    if file.mode not in _GRAY + _RGB:
        raise BadImage(
            f"the {title} file has samples of Pillow's mode {file.mode!r}; "
            "allowed: gray, RGB or CMYK, of 8 or 16 bits"
        )
    return ("L" if file.mode in _GRAY else "RGB") + ("A" if transparent else "")


def _warnings(file: Image.Image, data: bytes, name: str) -> list[str]:
    row = BY_NAME[name]
    with blaming(row.title):
        several = (row.animation or name == "heic") and getattr(file, "is_animated", False)
    bits = _avif_bits(data) if name == "avif" else file.info.get("bit_depth", 8)
    found = [FRAMES] if several else []
    if bits > 8:
        found.append(f"the {row.title} file's {bits} bits a sample became 8")
    return found


def _avif_bits(data: bytes) -> int:
    """Bits of a sample, by the configuration of the AV1 stream (AV1 in ISOBMFF, 2.3.3)."""
    at = data.find(b"av1C")
    flags = data[at + 6] if 0 < at < len(data) - 6 else 0
    return 12 if flags & 0x60 == 0x60 else 10 if flags & 0x40 else 8


def _check_plugin(name: str) -> None:
    if BY_NAME[name].extra and not has_plugin(name):
        raise BadImage(
            f"the image is {BY_NAME[name].title}, which needs packages that this server lacks; "
            f"install them with {EXTRA}"
        )


@lru_cache
def has_plugin(name: str) -> bool:
    """Whether Pillow has its plugin, which is loaded when it is first needed."""
    try:
        if name == "heic":
            import pillow_heif

            pillow_heif.register_heif_opener()
        else:
            import pillow_jxl  # noqa: F401  (registers itself)
    except ImportError:
        return False
    return True


@contextmanager
def _decoding(title: str, limits: Limits) -> Iterator[None]:
    """`blaming`, where Pillow may find a picture too large."""
    with blaming(title):
        try:
            yield
        except Image.DecompressionBombError as error:
            pixels = next(iter(re.findall(r"\d+", str(error))), "too many")
            raise TooLarge(
                f"the image has {pixels} pixels; allowed: {limits.input_pixels}"
            ) from error


@contextmanager
def _limited(limits: Limits) -> Iterator[None]:
    """Pillow's own limit is ours: it refuses what is more than twice as much, in pictures within
    pictures as well, whose sizes nobody else sees before they are decoded. After the block it is
    what it was, for whatever else this process does."""
    with _process, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata that we don't use
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, limits.input_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before
