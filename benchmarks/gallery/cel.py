"""Cel shading: flat colours with hard shadows and dark outlines."""

from __future__ import annotations

import numpy as np
from PIL import Image

from brush import Canvas, oval, path
from gallery.common import UNITS, finished, sample, segment, sheet
from gallery.figures import Look, bust
from scenery import cloud

LINE = "#28203a"


def heroine() -> Image.Image:
    return sample("heroine", 2.0, 130, 170)


def mascot() -> Image.Image:
    return sample("mascot", 1.75, ground="#8ab8d8")


def witch() -> Image.Image:
    c = sheet("#171a44")
    c.gradient([(0, "#10123a"), (1, "#5a3f8c")], (0, 0), (0, UNITS))
    rng = np.random.default_rng(6)
    for x, y, r in rng.uniform((0, 0, 0.4), (UNITS, 150, 1.4), (90, 3)):
        c.fill(oval(x, y, r), "#fff6d0")
    c.fill(oval(170, 52, 40), "#ffe9a0")
    for x, y, r in ((158, 40, 8), (182, 62, 11), (160, 68, 5)):
        c.fill(oval(x, y, r), "#f0cf78")
    look = Look(
        hair="#b77be0",
        hair_shade="#7a4bb0",
        hair_light="#e2c2ff",
        line=LINE,
        iris=("#5a1a50", "#ff8ad0"),
        cloth="#2e2a50",
        cloth_shade="#1b1836",
    )
    with c.frame(100, 122, 0.7, -6):
        bust(c, look)
        hat(c)
    return finished(c)


def hat(c: Canvas) -> None:
    brim = path("-150,-62! -110,-84 -40,-98 40,-98 110,-84 150,-62! 100,-58 0,-74 -100,-58", True)
    cone = path("-84,-88! -54,-130 -24,-168 10,-178 44,-168! 34,-150 56,-130 84,-88! 0,-100", True)
    for shape, colour, dark in ((cone, "#37306c", "#221d48"), (brim, "#3f3880", "#221d48")):
        c.fill(shape, colour)
        c.fill(shape + np.array([14.0, 12.0]), dark, c.region(shape))
        c.outline(shape, LINE, 2.6)
    band = path("-82,-90! 0,-104 82,-90! 74,-108! 0,-122 -72,-108!", True)
    c.fill(band, "#e8a33c")
    c.outline(band, LINE, 2.2)
    c.fill(path("-14,-122! 14,-122! 14,-98! -14,-98!", True), "#fff0b0")
    c.outline(path("-14,-122! 14,-122! 14,-98! -14,-98!", True), LINE, 2)


def robot() -> Image.Image:
    """A machine on a meadow under clouds: straight edges and curves, rivets, thin stripes."""
    c = sheet("#6ab8ee")
    c.gradient([(0, "#3d8fdc"), (1, "#d8f2fa")], (0, 0), (0, 180))
    rng = np.random.default_rng(2)
    cloud(c, rng, (180, 150), (60, 80))
    cloud(c, rng, (30, 160), (50, 60))
    c.fill(path("-4,190! 60,178 150,186 230,176! 230,230! -4,230!", True), "#6cbf58")
    for x in rng.uniform(0, UNITS, 60):
        c.stroke(segment(x, 200 + x % 24, x + 2, 192 + x % 24), "#3d8a48", 1.4, "out")
    limbs(c)
    panels(c)
    return finished(c)


def plate(c: Canvas, text: str, tone: str, dark: str) -> None:
    """A panel: flat, with a shadow at its right and below."""
    shape = path(text, True)
    c.fill(shape, dark)
    c.fill(shape + np.array([-6.0, -4.0]), tone, c.region(shape))
    c.outline(shape, LINE, 2)


def limbs(c: Canvas) -> None:
    for side in (-1, 1):
        with c.frame(112, 0, wide=side):
            for y in range(112, 150, 7):
                plate(c, f"50,{y}! 66,{y}! 66,{y + 6}! 50,{y + 6}!", "#9aa4b8", "#5e6880")
            plate(c, "44,148! 72,146! 78,172! 62,184! 42,176!", "#f2b13c", "#b8702a")
            plate(c, "10,176! 34,176! 38,204! 46,214! 4,214! 8,204!", "#d8dde8", "#8c96ae")
            plate(c, "36,86! 60,80! 76,94! 72,116! 46,116!", "#e0503f", "#96283c")


def panels(c: Canvas) -> None:
    plate(c, "68,90! 156,90! 164,150! 146,184! 78,184! 60,150!", "#f4f6fa", "#aab4cc")
    plate(c, "72,24! 90,14! 134,14! 152,24! 158,70! 140,86! 84,86! 66,70!", "#f4f6fa", "#aab4cc")
    plate(c, "80,36! 144,36! 146,60! 134,70! 90,70! 78,60!", "#28345c", "#18203e")
    for x in (96, 128):
        c.fill(oval(x, 52, 8), "#5ce8f4")
        c.fill(oval(x - 2.5, 49.5, 2.6), "#ffffff")
    c.stroke(segment(112, 14, 112, 2), LINE, 2.4, "none")
    c.fill(oval(112, 4, 4), "#e0503f")
    for y in range(104, 128, 5):
        c.stroke(segment(86, y, 138, y), "#5e6880", 1.4, "none")
    plate(c, "94,136! 130,136! 130,166! 94,166!", "#f2b13c", "#b8702a")
    for x, y in ((72, 98), (152, 98), (68, 146), (156, 146), (84, 178), (140, 178)):
        c.fill(oval(x, y, 2), LINE)
