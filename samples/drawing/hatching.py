"""Pen work for line art: hatching, and white shapes with an ink outline."""

from __future__ import annotations

import numpy as np
from PIL import Image

# Local modules: their group depends on where the import sorter is run from.
# isort: split
from brush import Canvas, Shape, along, ink, path

WHITE, BLACK = "#ffffff", "#111111"


def comb(
    c: Canvas,
    start: str,
    end: str,
    count: int,
    width: float = 0.9,
    within: Image.Image | None = None,
    ragged: float = 0.0,
) -> None:
    """Hatching: strokes from one line to another, each a little off and lifted at its end."""
    rng = np.random.default_rng(count)
    strokes: Shape = []
    for a, b in zip(along(path(start), count), along(path(end), count), strict=True):
        tip = b + (a - b) * rng.uniform(0, 0.3)
        root = a + (b - a) * rng.uniform(0, ragged) + rng.normal(0, 0.25, 2)
        strokes += ink(np.stack([root, tip]), width, "out")
    c.paint(strokes, BLACK, within)


def inked(c: Canvas, text: str, width: float = 1.8, tone: str = WHITE) -> Image.Image:
    """A closed shape in white with an ink outline; gives back its inside."""
    shape = path(text, True)
    c.fill(shape, tone)
    c.outline(shape, BLACK, width)
    return c.region(shape)
