"""Specks: single dots that belong to no drawing, as dust on a scanner and dead pixels leave them.

A dot alone proves nothing: stars, snow, freckles and screentone are dots, too. Taken for damage is
only one that stands alone, hard-edged, on an even ground.
"""

import cv2
import numpy as np

from sakuga_server.imaging.picture import Array, rgb

LARGEST = 3  # pixels of a speck's width and height at most
CONTRAST = 96  # levels by which it stands out at least: stars that stand alone reach 85
FAINT = 20  # levels from which on a dot counts as one that a speck isn't alone with
UNEVEN = 0.25  # of its contrast: so much may the ground around it vary at most
RIM = 3  # pixels of ground around it that are looked at
ALONE = 64  # pixels within which there is no other dot


def find(colour: Array) -> list[tuple[tuple[int, int, int, int], float]]:
    """Boxes (x, y, width, height) of specks, each with its contrast, 0 to 1.

    Args:
        colour: uint8, (H, W) or (H, W, 3).
    """
    pixels = rgb(colour)
    ground = cv2.medianBlur(pixels, 2 * LARGEST + 1)
    off = cv2.absdiff(pixels, ground).max(axis=2)
    number, _, boxes, _ = cv2.connectedComponentsWithStats((off > FAINT).astype(np.uint8))
    small = boxes[1:number][(boxes[1:number, 2:4] <= LARGEST).all(axis=1)][:, :4]
    dots, contrasts = [], []
    for box in small.tolist():
        x, y, width, height = box
        contrast = int(off[y : y + height, x : x + width].min())
        if _spread(pixels, x, y, width, height) <= UNEVEN * contrast:
            dots.append((x, y, width, height))
            contrasts.append(contrast)
    found = zip(dots, contrasts, _alone(np.array(dots).reshape(-1, 4)), strict=True)
    return [(dot, level / 255) for dot, level, free in found if free and level >= CONTRAST]


def _alone(dots: Array) -> Array:
    """Which of the boxes have no other one near; faint ones count."""
    centres = (dots[:, :2] + dots[:, 2:] / 2).astype(np.float32)
    cells: dict[tuple[int, int], list[int]] = {}
    for index, (x, y) in enumerate(centres // ALONE):
        cells.setdefault((int(x), int(y)), []).append(index)
    alone = np.ones(len(dots), bool)
    for (x, y), members in cells.items():
        beside = [(x + i, y + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        near = [index for cell in beside for index in cells.get(cell, ())]
        for index in members:
            distance = np.abs(centres[near] - centres[index]).max(axis=1)
            alone[index] = (distance < ALONE).sum() == 1  # itself
    return alone


def _spread(pixels: Array, x: int, y: int, width: int, height: int) -> int:
    """By how many levels the ground around a box varies."""
    top, left = max(y - RIM, 0), max(x - RIM, 0)
    window = pixels[top : y + height + RIM, left : x + width + RIM]
    ring = np.ones(window.shape[:2], bool)
    ring[y - top : y - top + height, x - left : x - left + width] = False
    return int(np.ptp(window[ring].astype(np.int32), axis=0).max())
