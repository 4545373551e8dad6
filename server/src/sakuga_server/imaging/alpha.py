"""Transparency: what a network must not see, and what it must not spoil."""

import cv2
import numpy as np

from sakuga_server.imaging.picture import Array

# Colours under less alpha than this (of 255) are often rounding noise, left by programs that
# divided premultiplied colours by a tiny alpha; nobody sees them, but a network would.
FAINT = 16


def bleed(colour: Array, alpha: Array) -> Array:
    """`colour` with the colours of the nearest visible pixels under transparent ones.

    Files hold anything under full transparency, mostly black or white. A network mixes it into
    the edge, which then shows as a dark or light fringe on another background.

    Args:
        colour: uint8 or uint16, (H, W) or (H, W, 3).
        alpha: (H, W), of the same type.
    """
    faint = FAINT * (int(np.iinfo(alpha.dtype).max) // 255)
    hidden = alpha < (faint if alpha.max() >= faint else 1)
    if not hidden.any() or hidden.all():
        return colour
    _, nearest = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # A label stands for one visible pixel, numbered row by row.
    visible = colour[~hidden]
    filled = colour.copy()
    filled[hidden] = visible[nearest[hidden] - 1]
    return filled


# Pixels around visible ones whose colour is computed, although nobody sees it: whoever resamples
# the result finds no dark fringe. Lanczos to a quarter of the size reaches three pixels this far.
RIM = 4


def seen(alpha: Array) -> Array:
    """uint8 (H, W), 1 where a colour under `alpha` may be seen, also by resampling; 0 elsewhere."""
    kernel = np.ones((2 * RIM + 1,) * 2, np.uint8)
    mask: Array = cv2.dilate((alpha > 0).view(np.uint8), kernel)
    return mask


def boundary(alpha: Array) -> Array:
    """bool (H, W), where a pixel and those next to it aren't all fully transparent, or all fully
    opaque."""
    kernel = np.ones((3, 3), np.uint8)
    most = np.iinfo(alpha.dtype).max
    found: Array = (cv2.dilate(alpha, kernel) > 0) & (cv2.erode(alpha, kernel) < most)
    return found


def pin(upscaled: Array, alpha: Array) -> None:
    """Makes `upscaled` alpha exactly 0 or full wherever `alpha` is so all around.

    A network gives 1 or 254 there now and then: a veil over the background, holes in the figure.
    """
    kernel = np.ones((3, 3), np.uint8)
    full = np.iinfo(alpha.dtype).max
    for value, extreme in ((0, cv2.dilate(alpha, kernel)), (full, cv2.erode(alpha, kernel))):
        mask = (extreme == value).view(np.uint8)
        size = (upscaled.shape[1], upscaled.shape[0])
        upscaled[cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST) == 1] = value
