"""Holding an upscaled picture to the JPEG file that it came from.

A network draws lines as it likes them: thicker, darker, a little beside. But a JPEG file says of
every coefficient of its blocks in which interval it was. What leaves these intervals, once the
upscaled picture is reduced to the file's size again, can't have been so; where there are lines, it
is moved back to the nearest end of them. Even ground is left to the network: there the eye would
see the blocks again.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from sakuga_server.imaging.decode import orient
from sakuga_server.imaging.picture import Array
from sakuga_server.jpeg.coefficients import Plane, luma_of
from sakuga_server.jpeg.dequantise import forward_dct, inverse_dct

HALF = 0.5  # of a step, to either side: the whole interval
# Levels by which neighbouring pixels differ from where on there is a line, and in between.
GROUND, LINE = 16.0, 64.0
BACK = {6: 8, 8: 6}  # EXIF's orientations that undo each other; all others undo themselves


@dataclass(frozen=True)
class Evidence:
    """What is known of a picture's luma."""

    luma: Plane
    """Coefficients as they were stored."""
    rows: slice
    columns: slice
    """The pixels that they speak of, in the file's own orientation."""
    orientation: int
    """EXIF's, by which the picture was turned since."""
    inside: Array
    """bool (H, W), upright: where it counts."""


def agreed(large: Array, evidence: Evidence) -> Array:
    """`large`, moved to where it agrees with the evidence.

    Args:
        large: uint8, (sH, sW, 3) RGB or (sH, sW) gray, s times as large as the picture.
    """
    height, width = evidence.inside.shape
    small = cv2.resize(luma_of(large), (width, height), interpolation=cv2.INTER_AREA)
    back = BACK.get(evidence.orientation, evidence.orientation)
    change = np.zeros_like(orient(small, back))
    place = evidence.rows, evidence.columns
    change[place] = _change(orient(small, back)[place], evidence.luma)
    change = orient(change, evidence.orientation) * _lines(small) * evidence.inside
    size = large.shape[1], large.shape[0]
    moved = cv2.resize(change.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    result = large + (moved if large.ndim == 2 else moved[..., None])
    return np.asarray(np.rint(result).clip(0, 255).astype(np.uint8))


def _change(luma: Array, plane: Plane) -> Array:
    """What takes all coefficients of a part of the picture into their intervals."""
    # Beyond the picture, blocks hold what the file has there.
    whole = inverse_dct(plane.coefficients)
    whole[: luma.shape[0], : luma.shape[1]] = luma - 128
    found = forward_dct(whole)
    reach = HALF * plane.steps
    allowed = np.clip(found, plane.coefficients - reach, plane.coefficients + reach)
    return inverse_dct(allowed - found)[: luma.shape[0], : luma.shape[1]]


def _lines(luma: Array) -> Array:
    """0 on even ground, 1 at lines."""
    kernel = np.ones((3, 3), np.uint8)
    range_ = cv2.dilate(luma, kernel) - cv2.erode(luma, kernel)
    return np.asarray(np.clip((range_ - GROUND) / (LINE - GROUND), 0, 1))
