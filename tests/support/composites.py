"""Drawn composites whose alpha and foreground colours are known, and the errors of a matting.

Everything is drawn in code, layer by layer; a layer's coverage comes from 4x supersampling.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from sakuga_server.imaging.picture import Array

SAMPLES = Path(__file__).parents[2] / "samples"
SUPER = 4  # samples per pixel and axis
GRADIENT_SIGMA = 1.4  # of the gradient error of alphamatting.com (Rhemann et al. 2009)


@dataclass(frozen=True)
class Composite:
    """A picture put together, and what it was put together from."""

    name: str
    colour: Array
    """uint8 (H, W, 3) RGB: alpha * foreground + (1 - alpha) * background, rounded."""
    alpha: Array
    """float32 (H, W), 0…1."""
    foreground: Array
    """float32 (H, W, 3), levels of 255; without meaning where alpha is 0."""


class Canvas:
    """Layers over each other, with transparency. Coordinates are fractions of the height."""

    def __init__(self, height: int, width: int, seed: int) -> None:
        self.shape = (height, width)
        self.random = np.random.default_rng(seed)
        self.alpha = np.zeros((height, width), np.float32)
        self.colour = np.zeros((height, width, 3), np.float32)  # premultiplied

    def put(self, cover: Array, colour: tuple[int, int, int] | Array) -> None:
        """One layer over the others; cover float32 (H, W) in 0…1, colours in levels of 255."""
        rest = 1 - cover
        self.alpha = cover + self.alpha * rest
        paint = np.asarray(colour, np.float32)
        self.colour = cover[..., None] * paint + self.colour * rest[..., None]

    def fill(self, points: Array) -> Array:
        """The cover of a polygon, (n, 2) as x, y."""
        mask = self._large()
        cv2.fillPoly(mask, [self._fixed(points)], 255, cv2.LINE_8, 4)
        return self._small(mask)

    def lines(self, strokes: list[Array], width: float) -> Array:
        """The cover of open lines `width` pixels wide."""
        mask = self._large()
        thick = max(1, round(width * SUPER))
        cv2.polylines(mask, [self._fixed(s) for s in strokes], False, 255, thick, cv2.LINE_8, 4)
        return self._small(mask)

    def soft(self, cover: Array, sigma: float) -> Array:
        return cv2.GaussianBlur(cover, (0, 0), sigma * self.shape[0])

    def _large(self) -> Array:
        return np.zeros((self.shape[0] * SUPER, self.shape[1] * SUPER), np.uint8)

    def _small(self, mask: Array) -> Array:
        size = (self.shape[1], self.shape[0])
        return cv2.resize(mask, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255

    def _fixed(self, points: Array) -> Array:
        return np.round(points * self.shape[0] * SUPER * 16).astype(np.int32).reshape(-1, 1, 2)

    def over(self, name: str, background: Array) -> Composite:
        """The layers on a background, float32 (H, W, 3) in levels of 255."""
        mixed = self.colour + (1 - self.alpha)[..., None] * background
        colour = np.clip(np.round(mixed), 0, 255).astype(np.uint8)
        foreground = self.colour / np.maximum(self.alpha, 1e-6)[..., None]
        return Composite(name, colour, self.alpha, foreground)


def oval(x: float, y: float, across: float, down: float, wobble: float = 0.0) -> Array:
    """A closed curve around (x, y), (n, 2)."""
    turn = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    reach = 1 + wobble * np.sin(7 * turn)
    return np.stack((x + across * reach * np.cos(turn), y + down * reach * np.sin(turn)), 1)


def strand(random: np.random.Generator, start: Array, length: float) -> Array:
    """A bent hair from `start`, away from the head and down, (n, 2)."""
    away = start - np.array([0.5, 0.42])
    away = away / (np.linalg.norm(away) + 1e-6) + random.normal(0, 0.5, 2) + np.array([0, 0.6])
    bend = random.normal(0, 0.35, 2) * length
    t = np.linspace(0, 1, 24)[:, None]
    return start + t * away * length + t * (1 - t) * 2 * bend


def outlined(canvas: Canvas, points: Array, colour: tuple[int, int, int], ink: float) -> None:
    canvas.put(canvas.fill(points), colour)
    canvas.put(canvas.lines([np.vstack((points, points[:1]))], ink), (38, 28, 44))


def figure(canvas: Canvas, hairs: int = 160) -> None:
    """A head with thin hair over shoulders, in flat colours with ink."""
    ink, random = max(1.5, canvas.shape[0] / 500), canvas.random
    shoulders = np.array([(0.22, 1.02), (0.3, 0.78), (0.45, 0.7), (0.58, 0.7), (0.72, 0.8)])
    outlined(canvas, np.vstack((shoulders, [(0.8, 1.02)])), (70, 92, 168), ink)
    outlined(canvas, oval(0.5, 0.42, 0.25, 0.29, 0.02), (196, 120, 66), ink)
    outlined(canvas, oval(0.5, 0.48, 0.16, 0.19), (250, 222, 200), ink)
    rim = oval(0.5, 0.42, 0.24, 0.28)
    for width, colour in ((1.0, (196, 120, 66)), (1.6, (150, 84, 44)), (2.2, (38, 28, 44))):
        starts = rim[random.integers(0, len(rim), hairs // 3)]
        strokes = [strand(random, s, random.uniform(0.02, 0.09)) for s in starts]
        canvas.put(canvas.lines(strokes, width), colour)
    canvas.put(canvas.fill(oval(0.44, 0.47, 0.02, 0.035)), (60, 40, 90))
    canvas.put(canvas.fill(oval(0.56, 0.47, 0.02, 0.035)), (60, 40, 90))


def glow(canvas: Canvas) -> None:
    """A lamp in its own light, and sparks."""
    core = canvas.fill(oval(0.5, 0.5, 0.2, 0.26, 0.06))
    canvas.put(canvas.soft(core, 0.012), (255, 226, 120))
    canvas.put(core, (255, 250, 214))
    for x, y in canvas.random.uniform(0.15, 0.85, (9, 2)):
        spark = canvas.fill(oval(x, y, 0.022, 0.022))
        canvas.put(canvas.soft(spark, 0.006), (255, 190, 90))


def ink(canvas: Canvas) -> None:
    """Spiky shapes in flat colours, with hard dark outlines."""
    width = max(2.0, canvas.shape[0] / 300)
    for i, (x, y) in enumerate(((0.3, 0.34), (0.66, 0.4), (0.46, 0.7))):
        turn = np.linspace(0, 2 * np.pi, 34, endpoint=False)
        reach = np.where(np.arange(34) % 2, 0.1, 0.19 + 0.02 * i)
        points = np.stack((x + reach * np.cos(turn), y + reach * np.sin(turn)), 1)
        colour = ((232, 70, 84), (244, 200, 62), (66, 170, 150))[i]
        outlined(canvas, points, colour, width)


def veil(canvas: Canvas) -> None:
    """A figure in a veil that lets the background through."""
    body = oval(0.5, 0.55, 0.17, 0.33, 0.03)
    cloth = oval(0.5, 0.56, 0.2, 0.365, 0.05)
    canvas.put(canvas.fill(cloth) * 0.55, (226, 232, 255))
    outlined(canvas, body, (120, 72, 140), max(1.5, canvas.shape[0] / 500))
    folds = [np.array([(x, 0.24), (x * 0.9 + 0.05, 0.5), (x, 0.9)]) for x in (0.42, 0.5, 0.58)]
    canvas.put(canvas.lines(folds, 2) * 0.5, (250, 250, 255))


def ribbons(canvas: Canvas) -> None:
    """Brush strokes that thin out, with soft and hard edges, crossing each other."""
    for i in range(7):
        x = 0.16 + 0.11 * i
        t = np.linspace(0, 1, 60)[:, None]
        line = np.hstack((x + 0.06 * np.sin(6 * t + i), 0.1 + 0.8 * t))
        width = 0.004 + 0.022 * (1 - t) * t * 4
        points = np.vstack((line - width * (1, 0), (line + width * (1, 0))[::-1]))
        cover = canvas.fill(points)
        canvas.put(canvas.soft(cover, 0.001 * (i % 3) + 0.0003), (40 + 30 * i, 60, 210 - 28 * i))


def mascot(canvas: Canvas) -> None:
    """The mascot of the samples, whose file has its own alpha."""
    side = min(canvas.shape)
    with Image.open(SAMPLES / "mascot.png") as file:
        scaled = file.convert("RGBA").resize((side, side), Image.Resampling.LANCZOS)
    pixels = np.asarray(scaled, np.float32)
    layer = np.zeros((*canvas.shape, 4), np.float32)
    layer[:side, :side] = pixels
    canvas.put(layer[..., 3] / 255, layer[..., :3])


def flat(canvas: Canvas) -> Array:
    return np.full((*canvas.shape, 3), (126, 184, 214), np.float32)


def gradient(canvas: Canvas) -> Array:
    down = np.linspace(0, 1, canvas.shape[0], dtype=np.float32)[:, None, None]
    top, bottom = np.float32((64, 120, 220)), np.float32((250, 204, 170))
    return np.broadcast_to(top + down * (bottom - top), (*canvas.shape, 3))


def checker(canvas: Canvas) -> Array:
    y, x = np.indices(canvas.shape)
    odd = (x // 24 + y // 24) % 2
    return np.where(odd[..., None], np.float32((208, 214, 220)), np.float32((150, 164, 186)))


def hatching(canvas: Canvas) -> Array:
    """Manga hatching: slanted dark lines, 9 pixels apart."""
    y, x = np.indices(canvas.shape, np.float32)
    dark = np.clip(np.abs((x + 0.6 * y) % 9 - 4.5) - 3, 0, 1)[..., None]
    return np.float32((236, 232, 220)) * (1 - dark) + np.float32((90, 96, 112)) * dark


def noise(canvas: Canvas) -> Array:
    grain = canvas.random.normal(0, 9, (*canvas.shape, 3)).astype(np.float32)
    return np.clip(np.float32((150, 200, 160)) + grain, 0, 255)


def painted(canvas: Canvas) -> Array:
    """Clouds of colour in several sizes, as a wet brush leaves them."""
    size = (canvas.shape[1], canvas.shape[0])
    total = np.full((*canvas.shape, 3), 140, np.float32)
    for cells, strength in ((4, 60), (12, 24), (40, 10), (130, 4)):
        field = canvas.random.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        total += cv2.resize(field, size, interpolation=cv2.INTER_CUBIC)
    return np.clip(total, 0, 255)


SCENES: dict[str, tuple[Callable[[Canvas], None], Callable[[Canvas], Array]]] = {
    "hair over flat": (figure, flat),
    "hair over gradient": (figure, gradient),
    "hair over hatching": (figure, hatching),
    "hair over paint": (figure, painted),
    "glow over gradient": (glow, gradient),
    "glow over paint": (glow, painted),
    "ink over checker": (ink, checker),
    "ink over noise": (ink, noise),
    "veil over checker": (veil, checker),
    "veil over noise": (veil, noise),
    "veil over paint": (veil, painted),
    "ribbons over noise": (ribbons, noise),
    "mascot over paint": (mascot, painted),
}


def composite(name: str, height: int, width: int) -> Composite:
    """One of SCENES, at any size."""
    draw, ground = SCENES[name]
    canvas = Canvas(height, width, seed=len(name))
    draw(canvas)
    return canvas.over(name, ground(canvas))


def trimap_of(alpha: Array, side: int = 320, around: int = 10) -> Array:
    """A trimap as rembg makes it from a network's mask of side² pixels.

    Returns:
        uint8 (H, W): 0 background, 128 unknown, 255 foreground.
    """
    height, width = alpha.shape
    seen = Image.fromarray(cv2.resize(alpha, (side, side), interpolation=cv2.INTER_AREA))
    mask = np.asarray(seen.resize((width, height), Image.Resampling.LANCZOS)) * 255
    square = np.ones((around, around), np.uint8)
    edge = {"borderType": cv2.BORDER_CONSTANT}
    inside = cv2.erode((mask > 240).astype(np.uint8), square, borderValue=0, **edge)
    outside = cv2.erode((mask < 10).astype(np.uint8), square, borderValue=1, **edge)
    trimap = np.full(alpha.shape, 128, np.uint8)
    trimap[inside == 1] = 255
    trimap[outside == 1] = 0
    return trimap


def sad(alpha: Array, truth: Array) -> float:
    """Sum of absolute differences."""
    return float(np.abs(alpha.astype(np.float64) - truth).sum())


def gradient_error(alpha: Array, truth: Array) -> float:
    """Sum of squared differences of gradient magnitudes, as alphamatting.com counts it."""
    return float(((_magnitude(alpha) - _magnitude(truth)) ** 2).sum())


def colour_error(foreground: Array, truth: Array, alpha: Array) -> float:
    """Mean absolute error in levels of 255 where alpha is strictly between 0 and 1, weighted."""
    weight = np.where((alpha > 0) & (alpha < 1), alpha, 0).astype(np.float64)
    apart = np.abs(foreground.astype(np.float64) - truth).mean(axis=2)
    return float((apart * weight).sum() / weight.sum())


def _magnitude(alpha: Array) -> Array:
    reach = np.arange(-5, 6, dtype=np.float64)
    bell = np.exp(-(reach**2) / (2 * GRADIENT_SIGMA**2))
    slope = -reach * bell
    bell, slope = bell / np.sqrt((bell**2).sum()), slope / np.sqrt((slope**2).sum())
    plane = alpha.astype(np.float64)
    across = cv2.sepFilter2D(plane, -1, slope, bell, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(plane, -1, bell, slope, borderType=cv2.BORDER_REPLICATE)
    return np.hypot(across, down)
