"""Line art: black ink on white."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from brush import Canvas, along, oval, path
from gallery.common import box, finished, polar, sample, segment, sheet
from gallery.figures import SPIKES, Look, bust
from hatching import BLACK, WHITE, comb, inked

INK = Look(
    skin=WHITE,
    skin_shade=WHITE,
    hair=WHITE,
    hair_shade=WHITE,
    hair_light=WHITE,
    cloth=WHITE,
    cloth_shade=WHITE,
    line=BLACK,
    iris=(BLACK, "#333333"),
)


def fox_girl() -> Image.Image:
    return sample("lineart", 2.0, 96, 130)


def swordsman() -> Image.Image:
    c = sheet()
    rays(c, (112, 96), 70)
    look = replace(INK, fringe=SPIKES, back="")
    with c.frame(118, 114, 0.68, 4):
        bust(c, look)
        comb(c, "100,-60 104,-30 86,20", "60,-90 70,-50 78,0", 20, 1.4)
        comb(c, "130,180 110,150 84,140", "96,250 84,200 60,160", 22, 1.5)
        comb(c, "-30,76 0,100 28,84", "-34,108 0,130 34,104", 18, 1.2)
        c.stroke(path("-58,24 -44,38 -36,52"), BLACK, 2.6)
        c.stroke(path("-54,40 -44,36"), BLACK, 1.6)
    blade(c)
    return finished(c)


def rays(c: Canvas, middle: tuple[float, float], gap: float) -> None:
    """Lines of speed that all point to the middle and end around it."""
    rng = np.random.default_rng(3)
    for degrees in np.arange(0, 360, 2.4):
        turn, begin = degrees + rng.uniform(-0.8, 0.8), gap * rng.uniform(1.05, 1.6)
        line = np.array([polar(*middle, 190, turn), polar(*middle, begin, turn)])
        c.stroke(line, BLACK, rng.uniform(0.6, 1.8), "out")


def blade(c: Canvas) -> None:
    """A sword that is held before the shoulder."""
    inked(c, "30,224! 44,118! 66,20! 71,20! 62,120! 46,224!", 1.3)
    c.stroke(path("44,200 54,120 67,34"), BLACK, 0.8, "none")
    inked(c, "36,176! 66,184! 64,194! 34,186!", 1.2)
    for y in range(198, 224, 6):
        c.fill(path(f"38,{y}! 42,{y - 3}! 47,{y}! 42,{y + 3}!", True), BLACK)


def pagoda() -> Image.Image:
    c = sheet()
    c.outline(oval(166, 52, 30), BLACK, 1.2)
    for x, y, high in ((40, 150, 60), (190, 160, 74), (110, 168, 40)):
        mountain(c, x, y, high)
    for k, y in enumerate((58, 90, 126, 166)):  # a roof lies before the wall above it
        storey(c, 104, y, 32 + 14 * k)
    c.stroke(segment(104, 40, 104, 8), BLACK, 2, "in")
    for y in range(14, 38, 5):
        c.fill(oval(104, y, 3.4, 1.2), BLACK)
    branch(c)
    return finished(c)


def mountain(c: Canvas, x: float, foot: float, high: float) -> None:
    inside = inked(
        c,
        f"{x - high},{foot}! {x - 12},{foot - high}! {x},{foot - high - 6} "
        f"{x + 14},{foot - high + 4}! {x + high},{foot}!",
        1.1,
    )
    comb(
        c,
        f"{x + 2},{foot - high} {x + high},{foot}",
        f"{x - 6},{foot} {x + high * 0.5},{foot}",
        26,
        0.7,
        inside,
    )


def storey(c: Canvas, x: float, y: float, wide: float) -> None:
    """A floor with its windows under a curved, tiled roof."""
    wall, high = wide * 0.6, wide * 0.42
    inked(c, f"{x - wall},{y}! {x + wall},{y}! {x + wall},{y + 46}! {x - wall},{y + 46}!", 1.3)
    for left in np.linspace(x - wall + 4, x + wall - 12, 4):
        frame = box(left, y + 8, left + 8, y + 22)
        c.outline(frame, BLACK, 0.9)
        for at in (2.7, 5.3):
            c.stroke(segment(left + at, y + 8, left + at, y + 22), BLACK, 0.6, "none")
        c.stroke(segment(left, y + 15, left + 8, y + 15), BLACK, 0.6, "none")
    roof = inked(
        c,
        f"{x - wide},{y - 2}! {x - wall},{y - 8} {x - wall * 0.6},{y - high}!"
        f" {x + wall * 0.6},{y - high}! {x + wall},{y - 8} {x + wide},{y - 2}!"
        f" {x + wall},{y + 4} {x - wall},{y + 4}",
        1.6,
    )
    for at in np.linspace(-1, 1, int(wide / 2.6)):
        line = path(
            f"{x + at * wall * 0.6},{y - high} {x + at * wall},{y - 8} {x + at * wide},{y + 3}"
        )
        c.stroke(line, BLACK, 0.7, "none", roof)


def branch(c: Canvas) -> None:
    """Pine twigs in the foreground."""
    limb = path("224,224 196,200 176,206 150,196 128,202")
    c.stroke(limb, BLACK, 5, "in")
    rng = np.random.default_rng(8)
    for x, y in along(limb, 30)[4:]:
        for _ in range(9):
            tip = polar(x, y, rng.uniform(7, 15), rng.uniform(190, 350))
            c.stroke(segment(x, y, *tip), BLACK, 0.9, "out")


def bouquet() -> Image.Image:
    c = sheet()
    leaves = (
        (30, 60, 40),
        (190, 40, -30),
        (30, 190, -60),
        (196, 186, 70),
        (112, 20, 0),
        (16, 120, 90),
    )
    for x, y, turn in (*leaves, (206, 112, 10), (112, 206, 45), (150, 150, 160), (64, 130, 210)):
        with c.frame(x, y, 1.4, turn):
            leaf(c)
    for x, y, reach, petals in (
        (76, 84, 56, 22),
        (156, 118, 48, 18),
        (84, 168, 42, 16),
        (160, 48, 34, 14),
        (170, 188, 32, 13),
        (26, 24, 26, 12),
    ):
        chrysanthemum(c, x, y, reach, petals)
    return finished(c)


def leaf(c: Canvas) -> None:
    inside = inked(c, "0,-24! 12,-12 14,2 8,14 0,24! -8,14 -14,2 -12,-12", 1.0)
    c.stroke(path("0,-22 1,0 0,22"), BLACK, 0.9, "in")
    for y in range(-16, 18, 5):
        c.stroke(segment(0, y, 13, y - 7), BLACK, 0.6, "out", inside)
        c.stroke(segment(0, y, -13, y - 7), BLACK, 0.6, "out", inside)


def chrysanthemum(c: Canvas, x: float, y: float, reach: float, petals: int) -> None:
    """Rings of petals, the outer ones first; each has veins at its root."""
    for ring, size in enumerate((1.0, 0.78, 0.56, 0.36)):
        for turn in np.arange(petals) * 360 / petals + 8 * ring:
            with c.frame(x, y, reach * size / 50, turn):
                inked(c, "0,-4! 9,-22 10,-38 5,-48 0,-50! -5,-48 -10,-38 -9,-22", 50 / reach / size)
                for at in (-4, 0, 4):
                    c.stroke(segment(at / 2, -16, at, -38), BLACK, 35 / reach / size, "out")
    c.fill(oval(x, y, reach * 0.1), BLACK)
