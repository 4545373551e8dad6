"""What a JPEG file holds: planes of quantised DCT coefficients, not pixels.

A decoder picks the middle of each coefficient's interval; `dequantise` chooses better. What comes
after, chroma upscaled and colours turned, is done here as libjpeg does it.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import jpeglib
import numpy as np

from sakuga_server.imaging.picture import Array
from sakuga_server.jpeg.bare import bare

BLOCK = 8

jpeglib.version.set("turbo210")  # its default is libjpeg of 1998

# Annex K of the JPEG standard (ITU-T T.81): luminance and chrominance at libjpeg's quality 50.
LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
CHROMINANCE = np.full((8, 8), 99)
CHROMINANCE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]

# Luma and chroma to red, green and blue (JFIF).
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
RED_CR, GREEN_CB, GREEN_CR, BLUE_CB = 1.402, -0.344136, -0.714136, 1.772


@dataclass(frozen=True)
class Plane:
    """One component."""

    coefficients: Array
    """float32 (rows, columns, 8, 8): of each block, in levels, as a decoder takes them."""
    steps: Array
    """float32 (8, 8): how wide each coefficient's interval is."""


@dataclass(frozen=True)
class Jpeg:
    """A file's planes: luma, or luma and two of chroma; not turned as EXIF says."""

    planes: list[Plane]
    height: int
    width: int
    shrunk: tuple[int, int] = (1, 1)
    """How many times chroma is lower and narrower than luma: 1 or 2 each."""

    @property
    def quality(self) -> int:
        return quality_of(self.planes[0].steps)


def tables(quality: int, base: Array = LUMINANCE) -> Array:
    """libjpeg's steps for a quality from 1 to 100, float32 (8, 8)."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((base * percent + 50) // 100).clip(1, 255).astype(np.float32)


def quality_of(steps: Array) -> int:
    """The quality whose table of luminance is nearest to `steps`, whoever made them."""
    off = [np.abs(np.log(tables(quality) / steps)).mean() for quality in range(1, 101)]
    return 1 + int(np.argmin(off))


def read(data: bytes) -> Jpeg | None:
    """The planes of a JPEG file.

    Returns:
        None where `data` is something else, or damaged, or a JPEG of a rare kind: CMYK, stored as
        RGB, or with chroma shrunk otherwise than by 2.
    """
    file = bare(data) if data.startswith(b"\xff\xd8") else None
    if file is None:
        return None
    try:
        return _planes(file)
    except (OSError, ValueError, KeyError):  # damaged; what is left is for the decoder to tell
        return None


def _planes(data: bytes) -> Jpeg | None:
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        Path(file.name).write_bytes(data)
        stored = jpeglib.read_dct(file.name)
        parts = [stored.Y, *([] if stored.Cb is None else [stored.Cb, stored.Cr])]
    shrunk = _shrunk(stored.samp_factor)
    if stored.K is not None or shrunk is None or "RGB" in str(stored.jpeg_color_space):
        return None
    steps = [_steps(stored.qt, number) for number in stored.quant_tbl_no]
    planes = [Plane(c * q, q) for c, q in zip(parts, steps, strict=False)]
    return Jpeg(planes, stored.height, stored.width, shrunk)


def _steps(tables: Array, number: int) -> Array:
    """A component's steps, float32 (8, 8).

    Raises:
        ValueError: the file lacks them.
    """
    if not 0 <= number < len(tables) or not tables[number].all():
        raise ValueError(f"there is no quantisation table {number}")
    return np.asarray(tables[number].astype(np.float32))


def _shrunk(factors: Array) -> tuple[int, int] | None:
    """Of sampling factors (components, 2): vertical, horizontal."""
    if len(factors) == 1:
        return 1, 1
    luma, *chroma = (tuple(int(f) for f in row) for row in factors)
    if len(set(chroma)) > 1 or any(
        a not in (b, 2 * b) for a, b in zip(luma, chroma[0], strict=True)
    ):
        return None
    vertical, horizontal = (a // b for a, b in zip(luma, chroma[0], strict=True))
    return vertical, horizontal


def assembled(jpeg: Jpeg, planes: list[Array]) -> Array:
    """Pixels of decoded planes: uint8 (H, W, 3) RGB, or (H, W) gray.

    Args:
        planes: float32, of samples about 0, as large as their blocks.
    """
    size = jpeg.height, jpeg.width
    luma = np.clip(planes[0][: size[0], : size[1]] + 128, 0, 255)
    if len(planes) == 1:
        return np.rint(luma).astype(np.uint8)
    return rgb_of(luma, *(_upscaled(plane, jpeg) for plane in planes[1:]))


def rgb_of(luma: Array, blue: Array, red: Array) -> Array:
    """uint8 (H, W, 3) of luma, 0…255, and chroma about 0."""
    pixels = np.empty((*luma.shape, 3), np.float32)
    pixels[..., 0] = luma + RED_CR * red
    pixels[..., 1] = luma + GREEN_CB * blue + GREEN_CR * red
    pixels[..., 2] = luma + BLUE_CB * blue
    return np.rint(pixels).clip(0, 255).astype(np.uint8)


def luma_of(colour: Array) -> Array:
    """float32 (H, W), 0…255, of uint8 pixels, unrounded."""
    if colour.ndim == 2:
        return colour.astype(np.float32)
    return np.asarray(colour.astype(np.float32) @ LUMA)


def ycc_of(colour: Array) -> tuple[Array, Array, Array]:
    """Luma, 0…255, and chroma about 0, float32 (H, W), of uint8 (H, W, 3)."""
    luma = luma_of(colour)
    blue, red = ((colour[..., c] - luma) / scale for c, scale in ((2, BLUE_CB), (0, RED_CR)))
    return luma, blue, red


def _upscaled(plane: Array, jpeg: Jpeg) -> Array:
    """Chroma as large as luma, by libjpeg's triangle filter: a quarter of the farther sample."""
    vertical, horizontal = jpeg.shrunk
    plane = plane[: -(-jpeg.height // vertical), : -(-jpeg.width // horizontal)]
    height, width = plane.shape[0] * vertical, plane.shape[1] * horizontal
    # Linear resampling by 2 has just these weights.
    large = cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large)[: jpeg.height, : jpeg.width]
