"""Painted pictures: a smooth design, gone over with brush strokes that leave bristle marks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from brush import Canvas, oval, path, spindle
from gallery.common import SIDE, UNITS, finished, sample, segment, sheet
from gallery.figures import PARTED, Look, bust

Pixels = NDArray[np.float32]
FINE = 2  # strokes are painted at so many times the size
BRISTLES = 7


@dataclass(frozen=True)
class Layer:
    """Strokes of one brush."""

    count: int
    length: float
    width: float
    """Both in pixels of the picture."""
    varied: float
    """How far their colours differ from the design's, in levels."""


COARSE = (Layer(900, 70, 22, 10), Layer(1800, 40, 11, 8))
FINER = (*COARSE, Layer(4500, 22, 5, 7))
FINEST = (*FINER, Layer(9000, 11, 2.4, 5))


def sunset() -> Image.Image:
    return sample("sunset", SIDE / 270, 260, 0)


def brushed(design: Image.Image, layers: tuple[Layer, ...], seed: int) -> Image.Image:
    """A design as strokes, each with the colour below its middle, along the design's edges."""
    rng = np.random.default_rng(seed)
    smooth = np.asarray(design.filter(ImageFilter.GaussianBlur(2)), np.float32)
    turns = directions(smooth)
    ground = design.filter(ImageFilter.GaussianBlur(6)).resize((SIDE * FINE,) * 2)
    painting = np.array(ground, np.uint8)
    for layer in layers:
        for x, y in rng.uniform(0, SIDE, (layer.count, 2)):
            at = (int(y), int(x))
            turn = turns[at] + rng.normal(0, 0.25)
            stroke(painting, rng, layer, (x, y), turn, smooth[at])
    reduced = cv2.resize(painting, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return Image.fromarray(reduced)


def directions(smooth: Pixels) -> Pixels:
    """Angles along the edges of a picture, from its structure tensor."""
    gray = cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY)
    across, down = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
    products = (across * across - down * down, 2 * across * down)
    cosine, sine = (cv2.GaussianBlur(each, (0, 0), 8) for each in products)
    return np.asarray(np.arctan2(sine, cosine) / 2 + np.pi / 2, np.float32)


def stroke(
    painting: NDArray[np.uint8],
    rng: np.random.Generator,
    layer: Layer,
    middle: tuple[float, float],
    turn: float,
    colour: Pixels,
) -> None:
    """Bristles beside each other, each a little lighter or darker, and of its own length."""
    along = np.array((np.cos(turn), np.sin(turn)))
    side, bend = np.array((-along[1], along[0])), rng.normal(0, 0.12) * layer.length
    tone = colour + rng.normal(0, layer.varied, 3)
    thick = max(1, round(layer.width * FINE / BRISTLES * 1.5))
    for off in np.linspace(-0.5, 0.5, BRISTLES) * layer.width:
        reach = layer.length / 2 * rng.uniform(0.6, 1, 2)
        t = np.linspace(-reach[0], reach[1], 8)[:, None]
        line = np.array(middle) + t * along + (off + bend * (2 * t / layer.length) ** 2) * side
        paint = np.clip(tone + rng.normal(0, layer.varied * 0.7), 0, 255)
        points = np.round(line * FINE * 16).astype(np.int32)
        cv2.polylines(painting, [points], False, paint.tolist(), thick, cv2.LINE_AA, 4)


def forest() -> Image.Image:
    """A path between trees, with light at its end."""
    c = sheet("#c8e0a0")
    c.gradient([(0, "#2a5a58"), (0.5, "#8cc080"), (1, "#2c4a24")], (0, 0), (0, UNITS))
    c.glow(120, 96, 84, [(0, "#fff6c8ff"), (0.5, "#f4e69080"), (1, "#f0e08000")])
    c.fill(path("104,124! 138,124! 190,224! 20,224!", True), "#b89a6a")
    rng = np.random.default_rng(4)
    for x, wide, tone in (
        (28, 20, "#3a2a22"),
        (66, 10, "#54443a"),
        (172, 13, "#4c3a30"),
        (210, 26, "#33241e"),
    ):
        c.fill(
            path(
                f"{x - wide},{UNITS}! {x - wide / 2},120 {x - wide / 3},-4!"
                f" {x + wide / 3},-4! {x + wide / 2},120 {x + wide},{UNITS}!",
                True,
            ),
            tone,
        )
        c.stroke(segment(x - wide / 4, 0, x - wide / 3, 200), "#9a8a60", 3)
    for x, y, r in rng.uniform((0, -10, 6), (UNITS, 60, 20), (60, 3)):
        c.fill(
            oval(x, y, r, r * 0.6), str(rng.choice(["#2f6a3c", "#4f8c44", "#7cb04c", "#1f4a38"]))
        )
    return brushed(finished(c), FINER, 1)


def portrait() -> Image.Image:
    """A woman in soft light, her hair in long strokes."""
    c = sheet("#5a4a44")
    c.glow(60, 60, 190, [(0, "#b89c80"), (0.6, "#6a5650"), (1, "#2e2830")])
    look = Look(
        skin="#f0c8a8",
        skin_shade="#c08068",
        line="#5a3428",
        hair="#8a4a2c",
        thin=1.2,
        hair_shade="#4e2620",
        hair_light="#c88450",
        iris=("#243820", "#7aa060"),
        cloth="#35506a",
        cloth_shade="#22304a",
        fringe=PARTED,
    )
    with c.frame(112, 108, 0.82, 3):
        bust(c, look)
        for x in (46, -48):
            c.flood(c.soften(c.region(oval(x, 44, 15, 8)), 5), "#e06a5a70")
    return brushed(finished(c), FINEST, 2)


def storm() -> Image.Image:
    """Waves before a rock with a lighthouse."""
    c = sheet("#5c6c80")
    c.gradient([(0, "#2c3448"), (0.5, "#8c96a0"), (0.62, "#d8ccb0")], (0, 0), (0, 150))
    rng = np.random.default_rng(9)
    for x, y, r in rng.uniform((0, 0, 14), (UNITS, 70, 40), (40, 3)):
        tone = str(rng.choice(["#3c465ac0", "#586478a0", "#b8b8b490"]))
        c.fill(oval(x, y, r, r * 0.4), tone)
    c.fill(path("150,128! 168,104 196,98 224,112! 224,150! 150,150!", True), "#33303a")
    c.fill(path("184,40! 198,40! 202,102! 180,102!", True), "#e8e0d0")
    for y in (56, 80):
        c.fill(path(f"183,{y}! 200,{y}! 201,{y + 11}! 182,{y + 11}!", True), "#b03a30")
    c.glow(191, 34, 60, [(0, "#fffad0ff"), (0.3, "#fff0a080"), (1, "#fff0a000")])
    for k, y in enumerate(range(136, 250, 16)):
        swell(c, rng, y, 6 + 2.4 * k)
    return brushed(finished(c), FINER, 4)


def swell(c: Canvas, rng: np.random.Generator, y: float, high: float) -> None:
    """One wave after another across the picture, each with foam on its crest."""
    tone = str(rng.choice(["#24485c", "#2f6070", "#1c3a50"]))
    for x in np.arange(-30, UNITS, high * 4) + rng.uniform(0, 30):
        crest = path(
            f"{x},{y + high}! {x + high},{y} {x + 2 * high},{y - high} {x + 3 * high},{y}"
            f" {x + 5 * high},{y + high}! {x + 5 * high},{y + 60}! {x},{y + 60}!",
            True,
        )
        c.fill(crest, tone)
        foam = path(f"{x + high},{y + 2} {x + 2 * high},{y - high + 1} {x + 3.4 * high},{y + 4}")
        c.fill(spindle(foam, high * 0.5, 0.6), "#e4ecec")
