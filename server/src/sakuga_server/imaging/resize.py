"""From a network's own scale to that of the request."""

import cv2
import numpy as np
from PIL import Image

from sakuga_server.imaging.picture import Array


def resize(pixels: Array, width: int, height: int, reference: bool = False) -> Array:
    """Resamples uint8 or uint16 pixels, (H, W) or (H, W, 3).

    Args:
        reference: as Real-ESRGAN does it, by OpenCV's LANCZOS4, whose kernel doesn't widen when a
            picture shrinks, so lines flicker and moiré appears. Otherwise an antialiased Lanczos.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    if reference:
        return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LANCZOS4)
    if pixels.dtype == np.uint8:
        return _lanczos(pixels, width, height)
    if pixels.ndim == 3:  # Pillow has no 16-bit colour
        return np.dstack([resize(pixels[..., i], width, height) for i in range(pixels.shape[2])])
    resampled = _lanczos(pixels.astype(np.float32), width, height)
    return np.rint(resampled).clip(0, 65535).astype(np.uint16)


def _lanczos(pixels: Array, width: int, height: int) -> Array:
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
