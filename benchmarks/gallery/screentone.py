"""Screentone: greys of manga, made of dots and lines of ink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from brush import Canvas, Points, oval, path
from gallery.common import UNITS, box, finished, polar, segment, sheet
from gallery.figures import LONG, SPIKES, bust
from gallery.line_art import INK, rays
from hatching import BLACK, WHITE, inked

Level = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def dots(c: Canvas, period: float, level: float | Level, turn: float = 45) -> Image.Image:
    """A mask of round dots on a turned grid.

    Args:
        period: of the grid, in units.
        level: the share of ink, 0…1, or what gives it for x and y in units.
    """
    y, x = np.mgrid[0 : c.full[1], 0 : c.full[0]] / c.zoom
    share = level(x, y) if callable(level) else np.full(x.shape, float(level))
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    u, v = (x * cosine + y * sine) / period, (y * cosine - x * sine) / period
    away = np.hypot(u - np.round(u), v - np.round(v))
    ink = away < np.sqrt(np.clip(share, 0, 1) / np.pi)
    return Image.fromarray((ink * 255).astype(np.uint8))


def tone(c: Canvas, within: Image.Image | None, period: float, level: float | Level) -> None:
    """Dots of ink, kept inside a mask."""
    mask = dots(c, period, level)
    c.flood(mask if within is None else ImageChops.multiply(mask, within), BLACK)


def girl() -> Image.Image:
    """A face with tones of three kinds: hair, clothes and background."""
    c = sheet()
    tone(c, None, 6, lambda x, y: 0.5 - y / UNITS * 0.5)
    look = replace(INK, fringe=LONG)
    with c.frame(112, 104, 0.8, 5):
        bust(c, look)
        hair = path(LONG, True)
        low = path("-110,-20! 110,-20! 130,240! -130,240!", True)
        tone(c, ImageChops.multiply(c.region(hair), c.region(low)), 4, 0.3)
        cloth = path("-40,118! -96,136 -128,168 -140,260! 140,260! 128,168 96,136 40,118!", True)
        tone(c, c.region(cloth), 5, 0.22)
        cheek = c.region(path("-62,-30! 66,-30! 60,-14 0,-8 -60,-12!", True))
        tone(c, ImageChops.subtract(cheek, c.region(hair)), 3.2, 0.2)
        c.outline(hair, BLACK, 2.4)
    return finished(c)


def town() -> Image.Image:
    """A night sky whose dots grow upward, over roofs in even tones."""
    c = sheet()
    tone(c, None, 4, lambda x, y: 0.62 - y / 150 * 0.55)
    c.fill(oval(164, 54, 30), WHITE)
    c.outline(oval(164, 54, 30), BLACK, 1.2)
    rng = np.random.default_rng(4)
    for x, y in rng.uniform((6, 6), (UNITS, 90), (26, 2)):
        star(c, x, y, rng.uniform(3, 6))
    for k, x in enumerate(range(-10, UNITS, 40)):
        house(c, x, 132 + 13 * (k % 3), (0.12, 0.28, 0.45)[k % 3])
    c.fill(box(0, 204, UNITS, UNITS), BLACK)
    for x in range(0, UNITS, 16):
        c.stroke(segment(x, 208, x + 9, 208), WHITE, 1.4, "none")
    return finished(c)


def star(c: Canvas, x: float, y: float, reach: float) -> None:
    tips = [polar(x, y, reach * (1 if k % 2 == 0 else 0.35), 45 * k - 90) for k in range(8)]
    c.fill(np.array(tips), WHITE)


def house(c: Canvas, x: float, top: float, level: float) -> None:
    wall = inked(c, f"{x},{top}! {x + 38},{top}! {x + 38},220! {x},220!", 1.4)
    tone(c, wall, 5, level)
    roof = inked(c, f"{x - 5},{top + 2}! {x + 19},{top - 24}! {x + 43},{top + 2}!", 1.4)
    tone(c, roof, 3.5, 0.5)
    for left in (x + 6, x + 22):
        inked(
            c,
            f"{left},{top + 14}! {left + 9},{top + 14}! {left + 9},{top + 30}! {left},{top + 30}!",
            1.1,
        )
        c.stroke(segment(left + 4.5, top + 14, left + 4.5, top + 30), BLACK, 0.8, "none")


def clash() -> Image.Image:
    """A boy in lines of speed, shaded by a tone that fades from the middle."""
    c = sheet()
    tone(c, None, 5, lambda x, y: np.clip(np.hypot(x - 112, y - 96) / 150 - 0.4, 0, 0.7))
    rays(c, (112, 96), 86)
    look = replace(INK, fringe=SPIKES, back="")
    with c.frame(112, 112, 0.7, -7):
        bust(c, look)
        hair = path(SPIKES, True)
        right = path("20,-170! 140,-170! 140,60! 60,40! 50,-60!", True)
        tone(c, ImageChops.multiply(c.region(hair), c.region(right)), 4, 0.4)
        cloth = path("20,130! 96,136 128,168 140,260! 40,260!", True)
        tone(c, c.region(cloth), 3.4, 0.35)
    burst(c, 186, 40, 34)
    return finished(c)


def burst(c: Canvas, x: float, y: float, reach: float) -> None:
    tips = [polar(x, y, reach * (1 if k % 2 == 0 else 0.55), 15 * k) for k in range(24)]
    c.fill(np.array(tips), WHITE)
    c.outline(np.array([*tips, tips[0]]), BLACK, 1.8)
    tone(c, c.region(oval(x, y, reach * 0.5)), 4.4, 0.25)


def patterns() -> Image.Image:
    """Four panels: dots, lines, a checked cloth with flowers, and clouds."""
    c = sheet()
    halves = [(6, 6, 108, 108), (116, 6, 218, 108), (6, 116, 108, 218), (116, 116, 218, 218)]
    first, second, third, fourth = (c.region(box(*area)) for area in halves)
    tone(c, first, 7, lambda x, y: x / 108 * 0.6)
    for k in range(70):
        line = segment(116, 6 + 3 * k - 100, 218, 6 + 3 * k)
        c.stroke(line, BLACK, 0.5 + k / 70, "none", second)
    checks(c, third)
    tone(c, fourth, 4.5, 0.4)
    for x, y, r in (
        (140, 150, 14),
        (158, 142, 18),
        (178, 152, 15),
        (150, 196, 12),
        (166, 190, 16),
        (184, 198, 13),
    ):
        c.fill(oval(x, y, r), WHITE, fourth)
    with c.frame(56, 58, 0.9):
        flower(c, 5)
    with c.frame(166, 58, 0.9, 20):
        flower(c, 8)
    for area in halves:
        outline = box(*area)
        c.outline(np.vstack((outline, outline[:1])), BLACK, 2)
    return finished(c)


def checks(c: Canvas, within: Image.Image) -> None:
    for k in range(0, 110, 17):
        tone(c, ImageChops.multiply(within, c.region(box(6 + k, 116, 14 + k, 218))), 3.4, 0.25)
        tone(c, ImageChops.multiply(within, c.region(box(6, 116 + k, 108, 124 + k))), 3.4, 0.35)
    with c.frame(58, 166, 0.7, 30):
        flower(c, 6)


def flower(c: Canvas, petals: int) -> None:
    for turn in np.arange(petals) * 360 / petals:
        with c.frame(0, 0, 1, turn):
            inside = inked(c, "0,0! 14,-14 15,-32 0,-42! -15,-32 -14,-14", 1.6)
            tone(c, ImageChops.multiply(inside, c.region(_root())), 3.2, 0.35)
    c.fill(oval(0, 0, 6), BLACK)


def _root() -> Points:
    return path("0,6! 16,-16 0,-24 -16,-16", True)
