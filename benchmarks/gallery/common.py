"""What all drawings of the gallery share: their size, and crops of the project's samples."""

from __future__ import annotations

import numpy as np
from PIL import Image

from brush import Canvas, Points
from draw import picture

SIDE = 448  # of a picture; its quarter is a multiple of a JPEG's largest block, 16
UNITS = SIDE // 2  # of design: brush draws these at twice the size


def sheet(paper: str = "#ffffff") -> Canvas:
    """An empty picture of UNITS by UNITS."""
    return Canvas(UNITS, UNITS, SIDE / UNITS, paper)


def finished(canvas: Canvas) -> Image.Image:
    return canvas.finish().convert("RGB")


def sample(name: str, size: float, left: int = 0, top: int = 0, ground: str = "") -> Image.Image:
    """A part of a sample that is drawn at a size, over a ground where it has none."""
    drawn = picture(name, size).crop((left, top, left + SIDE, top + SIDE))
    if not ground:
        return drawn.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", drawn.size, ground), drawn).convert("RGB")


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """A rectangle as a polygon."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def segment(x: float, y: float, to_x: float, to_y: float) -> Points:
    """A straight line."""
    return np.array([(x, y), (to_x, to_y)])


def polar(x: float, y: float, reach: float, degrees: float) -> tuple[float, float]:
    """A point at a distance and angle from another."""
    turn = np.radians(degrees)
    return float(x + reach * np.cos(turn)), float(y + reach * np.sin(turn))
