"""Clean drawn pictures of many kinds, whose originals are known, and what damages pictures."""

import io
from functools import cache

import numpy as np
from PIL import Image

from composites import SCENES, composite
from draw import PAINTERS, picture
from pictures import SAMPLES

GROUND = "#8ab8d8"


# The samples at two sizes, and figures, hair, ink, glow and veils over grounds of all kinds.
NAMES = (*(f"{name} x{size}" for name in PAINTERS for size in (1, 2)), *SCENES)
# Both sizes, every figure and most grounds: enough for every run of the tests.
FEW = ("heroine x1", "lineart x1", "sunset x2", "hair over paint", "glow over gradient")
FEW += ("ink over noise", "veil over checker", "ribbons over noise", "mascot over paint")


@cache
def drawing(name: str) -> np.ndarray:
    """A clean drawing of NAMES, uint8 (H, W, 3), at least 256 pixels wide and high."""
    if name in SCENES:
        return composite(name, 512, 448).colour
    sample, _, size = name.rpartition(" x")
    return opaque(sample, int(size))


def varied() -> dict[str, np.ndarray]:
    """All of them."""
    return {name: drawing(name) for name in NAMES}


def opaque(name: str, size: int) -> np.ndarray:
    """A sample at a size, over a ground where it has none, uint8 (H, W, 3). That of size 1 is there
    as a file."""
    drawn = Image.open(SAMPLES / f"{name}.png") if size == 1 else picture(name, size)
    image = drawn.convert("RGBA")
    ground = Image.new("RGBA", image.size, GROUND)
    return np.asarray(Image.alpha_composite(ground, image).convert("RGB"))


def jpeg(pixels: np.ndarray, quality: int, subsampling: str = "4:2:0") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray:
    """As libjpeg decodes it."""
    return np.asarray(Image.open(io.BytesIO(data)))


def resaved(
    pixels: np.ndarray, quality: int, subsampling: str = "4:2:0", cut: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """A picture that was a JPEG once, and then lost `cut` columns and rows at its left and top."""
    return decoded(jpeg(pixels, quality, subsampling))[cut[1] :, cut[0] :]


def ramp(seed: int, height: int = 300, width: int = 400) -> np.ndarray:
    """A smooth gradient between two colours: straight, round or bent, uint8 (H, W, 3)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / width
    turn = random.uniform(0, 2 * np.pi)
    along = x * np.cos(turn) + y * np.sin(turn)
    if seed % 3 == 1:
        along = np.hypot(x - random.uniform(0, 1), y - random.uniform(0, 0.7))
    if seed % 3 == 2:
        along = along + 0.15 * np.sin(5 * y + 3 * x)
    along = (along - along.min()) / (along.max() - along.min())
    first, last = random.uniform(0, 255, 3), random.uniform(0, 255, 3)
    return np.rint(first + (last - first) * along[..., None]).astype(np.uint8)


def posterised(pixels: np.ndarray, step: int) -> np.ndarray:
    return np.clip(np.rint(pixels / step) * step, 0, 255).astype(np.uint8)


def psnr(found: np.ndarray, original: np.ndarray) -> float:
    """Decibels."""
    error = np.mean((found.astype(np.float64) - original) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
