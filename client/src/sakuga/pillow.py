"""Pillow's images as picture files, and back: the only importer of Pillow, and only where an image
of it is given."""

import io
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image
from PIL.ExifTags import IFD, Base

from sakuga.reply import Reply
from sakuga_core.errors import BadImage

PillowImage = Image.Image

# CMYK, which PNG doesn't hold, is sent as TIFF. Both are without loss.
FORMATS = dict.fromkeys(("1", "L", "LA", "P", "RGB", "RGBA", "I;16"), "PNG") | {"CMYK": "TIFF"}

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # by channels
SPACES = {1: b"GRAY", 2: b"GRAY", 3: b"RGB ", 4: b"RGB "}  # of colour profiles (ICC.1, 7.2.6)

BARE: dict[str, Any] = {"icc_profile": None, "transparency": None}  # nothing of `Image.info`


def file_of(image: PillowImage) -> bytes:
    """An image as a file, without loss, with its EXIF, colour profile and resolution.

    Args:
        image: of mode 1, L, LA, P, RGB, RGBA, I;16 or CMYK; of an animation the current frame.

    Raises:
        BadImage: it has another mode, no pixels, or its file is damaged.
    """
    if image.mode not in FORMATS:
        raise BadImage(f"the image has mode {image.mode}; allowed: {', '.join(FORMATS)}")
    if not image.width or not image.height:
        raise BadImage(f"the image has {image.width}x{image.height} pixels; allowed: 1x1 and up")
    with suppress(Exception):  # whatever damaged metadata makes of Pillow: the pixels go without
        return _saved(image, _metadata(image))
    try:
        return _saved(image, BARE)
    except Exception as error:  # of the decoder, for a file that is only now read
        raise BadImage(f"the image can't be read: {error}") from error


def _metadata(image: PillowImage) -> dict[str, Any]:
    """What of `Image.info` a result has, too."""
    kept = {name: image.info[name] for name in ("icc_profile", "dpi") if name in image.info}
    exif = image.getexif()
    return kept | ({"exif": exif.tobytes()} if exif else {})


def _saved(image: PillowImage, about: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, FORMATS[image.mode], compress_level=1, **about)
    return file.getvalue()


def image_of(reply: Reply, source: PillowImage) -> PillowImage:
    """A result of `format: raw` as an image.

    Args:
        source: the image that was sent, whose EXIF, colour profile and resolution it gets.

    Returns:
        An image of mode L, LA, RGB, RGBA, or I;16; other pictures of 16 bits in 8.
    """
    (pixels,) = reply.pixels
    height, width, channels = pixels.shape
    mode = MODES[channels]
    if pixels.dtype.itemsize == 2:
        if channels == 1:
            mode = "I;16"
        else:
            pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    image = Image.frombytes(mode, (width, height), pixels)
    with suppress(Exception):  # of damaged metadata: the pixels come without
        image.info.update(_described(source, image.size, SPACES[channels]))
    return image


def _described(source: PillowImage, size: tuple[int, int], space: bytes) -> dict[str, Any]:
    """What of the source's metadata is true of a result, which stands upright."""
    about = _metadata(source)
    if about.get("icc_profile", b"")[16:20] != space:
        about.pop("icc_profile", None)
    if "exif" in about:
        about["exif"] = _upright(about["exif"], size)
    return about


def _upright(exif: bytes, size: tuple[int, int]) -> bytes:
    new = Image.Exif()
    new.load(exif)
    if Base.Orientation in new:
        new[Base.Orientation] = 1
    details = new.get_ifd(IFD.Exif)
    for tag, side in zip((Base.ExifImageWidth, Base.ExifImageHeight), size, strict=True):
        if tag in details:
            details[tag] = side
    return new.tobytes()
