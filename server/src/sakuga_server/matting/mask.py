"""From what a segmentation network predicts to a mask, and on to what is certain in it."""

from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from sakuga_core.options import RembgOptions
from sakuga_server.imaging.picture import Array

# A figure's prediction reaches 0.99 and more; on blank paper, noise and gradients u2net's stays
# under 0.03. rembg stretches even that to 0…255.
FAINTEST = 0.1

# rembg truncates its stretched mask to 8 bits, so that only the prediction's own maximum is 255:
# whoever asks for more certainty than a mask can hold gets its upper two levels.
CERTAIN = 253

BACKGROUND, UNKNOWN, FOREGROUND = 0, 128, 255
DARK, LIGHT = 64, 191  # beyond them a correction is one


class Window(NamedTuple):
    """Where the picture lies in the square that a network sees."""

    top: int
    left: int
    height: int
    width: int


def whole(side: int) -> Window:
    return Window(0, 0, side, side)


def letterbox(side: int, width: int, height: int) -> Window:
    """A picture in the middle, its longer side filling the square (SkyTNT/anime-segmentation)."""
    high, wide = (
        (side, side * width // height) if height > width else (side * height // width, side)
    )
    high, wide = max(high, 1), max(wide, 1)
    return Window((side - high) // 2, (side - wide) // 2, high, wide)


def square(colour: Array, side: int, window: Window) -> Array:
    """uint8 (H, W, 3) as a network sees it: (1, side, side, 3).

    Stretched over the whole by Lanczos as rembg does, or letterboxed bilinearly over black.
    """
    if window == whole(side):
        lanczos = Image.Resampling.LANCZOS
        return np.asarray(Image.fromarray(colour).resize((side, side), lanczos))[None]
    canvas = np.zeros((1, side, side, 3), np.uint8)
    size = (window.width, window.height)
    canvas[0][_of(window)] = cv2.resize(colour, size, interpolation=cv2.INTER_LINEAR)
    return canvas


def read(
    prediction: Array, window: Window, width: int, height: int, letterbox: bool
) -> Array | None:
    """The mask of a picture, or None where the network found nothing in it.

    Args:
        prediction: float32 (side, side).
        window: where in it the picture lies.
        letterbox: take the values as they are, as isnet-anime's author does; else stretch them to
            0…255 and truncate, as rembg does.

    Returns:
        uint8 (height, width).
    """
    seen = prediction[_of(window)]
    low, high = seen.min(), seen.max()
    if not high - low >= FAINTEST:  # so written, NaN is nothing, too
        return None
    if letterbox:
        large = cv2.resize(seen, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(np.rint(255 * large.clip(0, 1)), np.uint8)
    levels = ((seen - low) / (high - low) * 255).astype(np.uint8)
    lanczos = Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(levels).resize((width, height), lanczos))


def _of(window: Window) -> tuple[slice, slice]:
    top, left, height, width = window
    return slice(top, top + height), slice(left, left + width)


def post_process(mask: Array) -> Array:
    """A mask without specks, smooth, black and white; rembg's steps and numbers."""
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, _cross())
    smooth = cv2.GaussianBlur(opened, (5, 5), sigmaX=2, sigmaY=2)
    return np.where(smooth < 127, 0, 255).astype(np.uint8)


def _cross() -> Array:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))  # at this size OpenCV's is a cross


def corrected(levels: Array, corrections: Array | None) -> Array:
    """A mask or trimap, uint8 (H, W), with what a person has drawn: light is foreground, dark is
    background, and the grays between them leave what is there."""
    if corrections is None:
        return levels
    kept = np.where(corrections > LIGHT, np.uint8(FOREGROUND), levels)
    return np.where(corrections < DARK, np.uint8(BACKGROUND), kept)


def trimap(mask: Array, options: RembgOptions) -> Array:
    """What of a mask is certain: uint8 (H, W) of BACKGROUND, UNKNOWN and FOREGROUND."""
    over = options.alpha_matting_foreground_threshold
    if over >= 255 and not options.reference_thresholds:
        over = CERTAIN
    figure = _eroded(mask > over, options, border=0)
    ground = _eroded(mask < options.alpha_matting_background_threshold, options, border=1)
    parts = np.full(mask.shape, UNKNOWN, np.uint8)
    parts[figure] = FOREGROUND
    parts[ground] = BACKGROUND
    return parts


def _eroded(certain: Array, options: RembgOptions, border: int) -> Array:
    """What is certain, less its rim; beyond the picture counts as `border`."""
    size = options.alpha_matting_erode_size
    kernel = np.ones((size, size), np.uint8)
    if size == 0:
        if not options.reference_thresholds:
            return certain
        kernel = _cross()  # to rembg, no size is SciPy's default
    pixels = certain.astype(np.uint8)
    shrunk: Array = cv2.erode(pixels, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=[border])
    return shrunk.astype(bool)
