"""Arithmetic of colours on some rows of a picture, in 8 or 16 bits."""

from functools import lru_cache

import cv2
import imagecodecs
import numpy as np

from sakuga_server.imaging.picture import Array


def first(pixels: Array, count: int) -> Array:
    """The first channels of (h, w, C): (h, w, count)."""
    if count == 3 and pixels.shape[2] == 4:  # which OpenCV does in a fifth of numpy's time
        return cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB)
    return pixels[..., :count]


def channel(pixels: Array, number: int) -> Array:
    """One channel of (h, w, C): (h, w)."""
    found: Array = cv2.extractChannel(pixels, number)
    return found


def without_matte(colour: Array, alpha: Array, white: bool) -> Array:
    """Colours as they were before they were laid over black or white by alpha, to the nearest.

    Args:
        colour: (h, w, C), uint8 or uint16.
        alpha: (h, w), of the same type. Where it is 0, colours stay as they are.
    """
    full = np.uint32(np.iinfo(colour.dtype).max)
    under = alpha[..., None].astype(np.uint32)
    over = colour.astype(np.uint32)
    if white:
        over = np.maximum(over, full - under) - (full - under)
    divided = (over * full + under // 2) // np.maximum(under, 1)  # 65535² + 32767 < 2³²
    return np.where(under == 0, colour, np.minimum(divided, full).astype(colour.dtype))


def rgb_of_cmyk(cmyk: Array, profile: bytes | None) -> Array:
    """sRGB of inks, of which the full value is all ink.

    Args:
        cmyk: (h, w, 4), uint8 or uint16.
        profile: one that `describes_cmyk`; None: each ink lets its share of a colour through.
    """
    if profile is not None:
        return _through(np.ascontiguousarray(cmyk), profile)
    full = np.uint32(np.iinfo(cmyk.dtype).max)
    light = full - cmyk.astype(np.uint32)
    shown: Array = (light[..., :3] * light[..., 3:] + full // 2) // full
    return shown.astype(cmyk.dtype)


def describes_cmyk(profile: bytes) -> bool:
    """Whether an ICC profile is one of CMYK, and sound."""
    if profile[16:20] != b"CMYK":  # its colour space (ICC.1, 7.2.1)
        return False
    try:
        _through(np.zeros((1, 1, 4), np.uint8), profile)
    except RuntimeError:  # littleCMS's errors
        return False
    return True


def _through(cmyk: Array, profile: bytes) -> Array:
    rgb: Array = imagecodecs.cms_transform(
        cmyk, profile, _srgb(), colorspace="CMYK", outcolorspace="RGB", outdtype=cmyk.dtype
    )
    return rgb


@lru_cache(maxsize=1)
def _srgb() -> bytes:
    return bytes(imagecodecs.cms_profile("srgb"))
