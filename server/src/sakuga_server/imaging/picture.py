"""A picture in memory, between its decoder, the pipelines and its encoder."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sakuga_server.imaging.metadata import Metadata

__all__ = ["STRIP", "Array", "Metadata", "Picture", "orient", "rgb", "strips", "window"]

Array = npt.NDArray[Any]

STRIP = 1 << 20  # bytes of pixels; deflate loses less than 0.1 % where one ends


@dataclass
class Picture:
    colour: Array
    """uint8 or uint16; (H, W, 3) RGB, or (H, W) gray. Not premultiplied."""
    alpha: Array | None = None
    """(H, W), of the same type; None where the file has no transparency."""
    metadata: Metadata = field(default_factory=Metadata)
    warnings: list[str] = field(default_factory=list)
    orientation: int = 1
    """EXIF's, 1 to 8: how the file's own pixels were turned to get these."""
    format: str = "png"
    """Of the file it comes from: the name of a row in `sakuga_core.formats`."""

    @property
    def height(self) -> int:
        return int(self.colour.shape[0])

    @property
    def width(self) -> int:
        return int(self.colour.shape[1])

    @property
    def deep(self) -> bool:
        """Whether a sample has 16 bits."""
        return self.colour.dtype == np.uint16

    @property
    def channels(self) -> int:
        """1 for gray, 3 for RGB, and one more with alpha."""
        return (1 if self.colour.ndim == 2 else 3) + (self.alpha is not None)

    @property
    def mode(self) -> str:
        """gray, gray+alpha, rgb or rgb+alpha, with its bits: `rgb+alpha 8 bit`."""
        kind = "gray" if self.colour.ndim == 2 else "rgb"
        alpha = "" if self.alpha is None else "+alpha"
        return f"{kind}{alpha} {16 if self.deep else 8} bit"


def rgb(pixels: Array) -> Array:
    """(H, W) or (H, W, 3) as (H, W, 3)."""
    return pixels if pixels.ndim == 3 else cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)


def strips(pixels: Array) -> Iterator[slice]:
    """Rows of about STRIP bytes of pixels, from the top to the bottom."""
    rows = max(1, STRIP * len(pixels) // max(1, pixels.nbytes))
    for top in range(0, len(pixels), rows):
        yield slice(top, min(top + rows, len(pixels)))


def orient(pixels: Array, orientation: int) -> Array:
    """`pixels` turned and mirrored as EXIF's orientation (1 to 8) asks; others mean 1."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def window(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    """Rows and columns of a box: x, y, width, height."""
    x, y, width, height = box
    return slice(y, y + height), slice(x, x + width)
