"""Heads and shoulders, in colours or in ink: the same parts, put together in different ways.

In its own frame a head has its eye line at y = 0, and its face reaches from -68 to 68 and down to
90, as the heroine's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import ImageChops

from brush import Canvas, oval, path
from heroine_head import FACE

LONG = (
    "-94,190! -104,120 -106,60 -104,0 -94,-68 -54,-112 0,-126 54,-112 94,-68 104,0 106,60 104,120"
    " 94,190! 84,120 86,60 80,10 74,-22! 62,-6 52,-10! 46,-30 40,-40! 34,-14 16,-8!"
    " 12,-30 8,-44! 0,-14 -18,-8! -20,-30 -26,-44! -32,-14 -50,-6! -54,-24 -60,-38!"
    " -66,-16 -74,-4! -82,40 -86,80 -84,120"
)
SPIKES = (
    "-82,34! -94,0 -122,-10! -106,-44 -132,-72! -100,-84 -104,-128! -62,-114 -46,-158!"
    " -14,-124 22,-160! 42,-122 88,-136! 88,-96 128,-98! 104,-58 130,-26! 98,-8 84,36!"
    " 78,-16! 62,-14 52,10! 42,-22 34,-44! 22,-14 2,8! -4,-24 -8,-48! -28,-16 -46,6!"
    " -52,-20 -56,-40! -64,-16 -76,4! -78,0"
)
PARTED = (
    "-80,60! -102,70 -110,20 -104,-40 -80,-96 -30,-124 20,-126 70,-106 100,-60 108,0 104,50"
    " 80,64! 84,20 76,-20 52,-58 14,-92! -8,-50 -40,-20 -70,-6! -76,20 -78,40"
)
BACK = (
    "-90,-60! -110,20 -112,100 -104,160 -118,210! -86,204 -70,236! -40,210 0,222 40,210"
    " 70,236! 86,204 118,210! 104,160 112,100 110,20 90,-60!"
)
SHOULDERS = (
    "-26,70! -28,104 -40,118 -96,136 -128,168 -140,260! 140,260! 128,168 96,136 40,118 28,104"
    " 26,70!"
)
NECK = "-26,60! -28,106 -40,120! 0,160! 40,120! 28,106 26,60!"
STRANDS = (
    "8,-44 2,-76 -4,-108|40,-40 30,-76 8,-108|-26,-44 -22,-78 -12,-108|-60,-38 -50,-76 -22,-106"
    "|74,-22 62,-66 22,-108|94,80 96,20 84,-40|-94,80 -96,20 -84,-40|56,-8 54,-28 46,-48"
)


@dataclass(frozen=True)
class Look:
    """The colours of a figure, and its hair."""

    skin: str = "#ffe6d6"
    skin_shade: str = "#eeb3a4"
    line: str = "#40202c"
    hair: str = "#38406e"
    hair_shade: str = "#232848"
    hair_light: str = "#7f8cc8"
    iris: tuple[str, str] = ("#16305c", "#58c8e8")
    cloth: str = "#d94f5c"
    cloth_shade: str = "#9c2c48"
    fringe: str = LONG
    back: str = BACK
    thin: float = 1.6
    """Width of inner lines; outlines are wider by half."""


def bust(c: Canvas, look: Look) -> None:
    """Everything, from the back to the front."""
    if look.back:
        shape = path(look.back, True)
        c.fill(shape, look.hair_shade)
        c.outline(shape, look.line, look.thin * 1.5)
    body(c, look)
    face(c, look)
    fringe(c, look)


def body(c: Canvas, look: Look) -> None:
    cloth, neck = path(SHOULDERS, True), path(NECK, True)
    c.fill(cloth, look.cloth)
    inside = c.region(cloth)
    c.fill(path("60,120! 110,150 140,190! 150,260! 90,260! 96,200 84,160", True), look.cloth_shade)
    c.fill(path("-40,118! -10,170 0,260! -30,260! -30,190", True), look.cloth_shade, inside)
    c.outline(cloth, look.line, look.thin * 1.5)
    c.fill(neck, look.skin)
    c.fill(path("-30,60! -24,92 0,108 30,98! 30,60!", True), look.skin_shade, c.region(neck))
    c.outline(neck, look.line, look.thin)


def face(c: Canvas, look: Look) -> None:
    c.fill(FACE, look.skin)
    skin, hair = c.region(FACE), path(look.fringe, True)
    c.fill(hair + np.array([4.0, 10.0]), look.skin_shade, skin)
    c.fill(path("70,-20! 62,22 44,56 6,86 -8,92! 24,60 46,34 54,0", True), look.skin_shade, skin)
    c.outline(FACE, look.line, look.thin * 1.3)
    for x, wide in ((31, 1.0), (-36, -0.9)):
        with c.frame(x, 14, wide=wide):
            eye(c, look, 1 if wide > 0 else -1)
        c.stroke(path(f"{x - 18},-26 {x},-33 {x + 18},-27"), look.line, look.thin * 1.4)
    c.stroke(path("-8,38 -12,45 -7,47"), look.line, look.thin)
    c.stroke(path("-20,64 -10,67 2,66 12,62"), look.line, look.thin * 1.2)


def eye(c: Canvas, look: Look, light: int) -> None:
    """Its outer corner lies on the right; `light` is -1 where the eye is mirrored."""
    white = path("-22,4! -16,-9 -4,-16 9,-16 19,-9 23,3! 19,14 11,21 -4,22 -15,15", True)
    c.fill(white, "#ffffff")
    inside, iris = c.region(white), oval(0, 3, 15, 20)
    lens = ImageChops.multiply(c.region(iris), inside)
    c.gradient([(0.1, look.iris[0]), (0.9, look.iris[1])], (0, -14), (0, 23), lens)
    c.fill(oval(0, 1, 7, 10), look.iris[0], lens)
    c.outline(iris, look.line, look.thin, inside)
    c.fill(oval(-6 * light, -5, 5, 6), "#ffffff")
    c.fill(oval(6 * light, 11, 2.6, 3.2), "#ffffff")
    lash = "-25,6! -18,-10 -6,-20 9,-21 21,-13 31,-5! 25,2 24,8! 18,-7 8,-14 -5,-14 -16,-7"
    c.fill(path(lash, True), look.line)
    c.stroke(path("22,8 17,17 9,22 -3,23"), look.line, look.thin * 0.8, "in")
    c.stroke(path("-16,-20 -5,-27 8,-28 20,-22"), look.line, look.thin * 0.8)


def fringe(c: Canvas, look: Look) -> None:
    shape = path(look.fringe, True)
    c.fill(shape, look.hair_shade)
    inside = c.region(shape)
    c.fill(shape + np.array([-5.0, -6.0]), look.hair, inside)
    for first, last in ((-70, -34), (-26, 4), (12, 40), (48, 72)):
        jag = [f"{x},{-62 - 8 * (k % 2)}" for k, x in enumerate(np.linspace(first, last, 5))]
        low = [f"{x},{-50 + 8 * (k % 2)}" for k, x in enumerate(np.linspace(last, first, 5))]
        c.fill(path("! ".join([*jag, *low]) + "!", True), look.hair_light, inside)
    for text in STRANDS.split("|"):
        c.stroke(path(text), look.line, look.thin, within=inside)
    c.outline(shape, look.line, look.thin * 1.5)
