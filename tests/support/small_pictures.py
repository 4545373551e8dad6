"""What tests of formats share: a small picture of every kind, and how it is decoded."""

import io

import numpy as np
from PIL import Image

from pictures import gradient
from sakuga_core.config.server import Limits
from sakuga_server.imaging.decode import decode

LIMITS = Limits()
RGB = gradient(21, 34)
RGB_16 = gradient(21, 34, np.uint16)
ALPHA = np.ascontiguousarray(RGB[::-1, ::-1, 2])
RGBA = np.dstack((RGB, ALPHA))
GRAY = np.ascontiguousarray(RGB[..., 0])
RNG = np.random.default_rng(0)


def shown(data: bytes) -> np.ndarray:
    """A file's pixels, with alpha as the last channel where there is one."""
    picture = decode(data, LIMITS)
    return picture.colour if picture.alpha is None else np.dstack((picture.colour, picture.alpha))


def pillows(data: bytes, mode: str = "RGB") -> np.ndarray:
    """A file's pixels, as Pillow has them."""
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode))


def deep(pixels: np.ndarray) -> np.ndarray:
    """The same colours in 16 bits."""
    return pixels.astype(np.uint16) * 257
