"""The heroine's head, in its own frame.

The eye line lies at y = 0 and the middle of the face a little left of x = 0, so that the whole
head can be tilted and moved at once.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops

# Local modules: their group depends on where the import sorter is run from.
# isort: split
from brush import Canvas, oval, path, spindle

SKIN, SKIN_SHADE, SKIN_LINE = "#ffeadd", "#f4b9b0", "#a0484e"
HAIR, HAIR_SHADE, HAIR_DEEP = "#f792b4", "#cf6397", "#9c4583"
HAIR_LIGHT, HAIR_LINE = "#ffc6d6", "#5e2350"
GOLD, GOLD_SHADE, GOLD_LINE = "#ffce47", "#e8912f", "#7a3b1d"
INK = "#2b1c3a"

FACE = path(
    "-67,-40! -70,-14 -69,8 -66,28 -57,50 -38,72 -20,86 -12,90 -4,88 18,76 44,56 61,34 68,8"
    " 70,-14 68,-50! 0,-90!",
    closed=True,
)
FRONT_HAIR = path(
    "-90,164! -101,132 -106,92 -105,46 -104,6 -102,-30 -92,-72 -70,-104 -38,-122"
    " -2,-127 40,-121 76,-100 98,-64 105,-20 108,20 109,60 109,104 106,140 94,178!"
    " 91,144 89,100 85,66 80,36 75,8 69,-24! 68,-8 64,6 56,16! 55,2 49,-16 38,-38!"
    " 36,-24 28,-9 15,2! 16,-12 13,-28 6,-48! 3,-28 -6,-14 -21,-3! -18,-18 -22,-34 -28,-52!"
    " -32,-34 -43,-15 -60,0! -55,-18 -56,-30 -60,-46! -68,-24 -74,8 -78,44 -79,82 -82,124",
    closed=True,
)
STRANDS = (
    "6,-48 2,-72 -8,-102|38,-38 28,-70 4,-106|69,-24 60,-66 24,-110|-28,-52 -27,-78 -20,-104"
    "|-60,-46 -53,-78 -32,-110|55,10 52,-14 42,-44|16,-6 16,-28 10,-50|-56,-4 -52,-24 -50,-40"
    "|97,130 99,80 94,20 88,-16 72,-58|102,90 102,40 98,-10|-96,120 -98,60 -91,-20 -74,-70"
    "|-88,100 -90,50 -86,6 -78,-28|22,-34 18,-56 8,-78|-42,-26 -42,-48 -36,-72"
    "|-8,-126 -10,-112 -4,-98"
)


def head(c: Canvas) -> None:
    c.fill(FACE, SKIN)
    skin = c.region(FACE)
    c.fill(FRONT_HAIR + np.array([3.0, 9.0]), SKIN_SHADE, skin)
    c.fill(
        path("70,-20! 60,20 48,44 24,66 -4,82 -14,92! 20,80 48,58 72,30!", True), SKIN_SHADE, skin
    )
    c.outline(FACE, SKIN_LINE, 1.8)
    features(c, skin)
    for x, wide in ((30, 1.0), (-38, -0.84)):
        with c.frame(x, 14, wide=wide):
            eye(c, light=1 if wide > 0 else -1)
    front_hair(c)
    brows(c)


def features(c: Canvas, skin: Image.Image) -> None:
    """Blush, nose and mouth."""
    for x, w in ((44, 16.0), (-49, 12.0)):
        blush = ImageChops.multiply(c.soften(c.region(oval(x, 44, w, 7)), 3.5), skin)
        c.flood(blush, "#ff7d8688")
        for k in (-6, 0, 6):
            c.stroke(path(f"{x + k + 2},39 {x + k - 2},45"), "#e8606f", 1.2, within=skin)
    c.stroke(path("-14,40 -17,45 -13,47"), SKIN_LINE, 1.6)
    c.fill(oval(-11, 38, 1.6, 2.4), "#ffffff")
    mouth = path("-26,60! -18,62 -8,62 4,59! 0,69 -8,75 -16,73 -23,67", True)
    c.fill(mouth, "#b3394a")
    inside = c.region(mouth)
    c.fill(oval(-9, 75, 10, 7), "#f58a8a", inside)
    c.fill(path("-24,60! -18,65 -6,65 2,60! -10,55!", True), "#ffffff", inside)
    c.outline(mouth, "#8a2f3f", 1.5)
    c.stroke(path("-30,58 -26,60 -18,62 -8,62 4,59 8,56"), "#8a2f3f", 1.7)
    c.stroke(path("-14,80 -9,81 -4,80"), SKIN_SHADE, 1.8)


def eye(c: Canvas, light: int) -> None:
    """An eye with its outer corner on the right; the other one is its mirror image.

    Only the highlights are not mirrored (``light`` is -1 there): both eyes see the same sky.
    """
    white = path("-22,4! -17,-9 -5,-17 9,-17 19,-9 23,3! 20,14 12,22 -4,23 -15,16", True)
    c.fill(white, "#ffffff")
    inside = c.region(white)
    iris = oval(0, 3, 17, 21.5)
    c.fill(iris, "#12345c", inside)
    lens = c.region(oval(0, 3, 15, 19.5))
    both = Image.composite(lens, Image.new("L", lens.size), inside)
    c.gradient(
        [(0, "#123f6e"), (0.45, "#1b86a8"), (0.8, "#53e0cf"), (1, "#c8fff0")],
        (0, -16),
        (0, 21),
        both,
    )
    c.fill(oval(0, 1, 7.5, 10.5), "#0d2748", both)
    c.fill(path("-12,10 -6,17 0,19 6,17 12,10 7,21 -7,21", True), "#d9fff2", both)
    c.fill(white + np.array([0.0, -31.0]), "#0d274899", inside)
    c.fill(
        path("-26,8! -20,-12 -5,-24 10,-24 26,-8! 19,-4 8,-10 -6,-10 -16,-3", True),
        "#8fa3cf99",
        inside,
    )
    c.fill(oval(-6.5 * light, -5, 5.6, 6.8, -15 * light), "#ffffff")
    c.fill(oval(7.5 * light, 11, 3, 3.6), "#ffffff")
    c.fill(oval(9.5 * light, -1, 1.6, 2), "#bff6ff")
    lash(c)


def lash(c: Canvas) -> None:
    upper = path(
        "-24,5! -19,-10 -7,-20 9,-21 21,-14 26,-5 31,-4! 28,1 24,3 25,10! 22,3 17,-7 8,-14"
        " -5,-14 -16,-7",
        True,
    )
    c.fill(upper, INK)
    c.fill(path("24,-11! 28,-15 31,-17! 29,-10 26,-6!", True), INK)
    c.stroke(path("24,6 21,14 13,22 2,24.5"), "#6b2a45", 1.7, "in")
    c.stroke(path("-17,-20 -8,-27 6,-29 20,-24"), SKIN_LINE, 1.3)
    c.stroke(path("-14,-10.5 -6,-15.5 6,-15.5"), "#8c3f6a", 1.6)


def lock(c: Canvas, text: str, width: float) -> None:
    """One free lock of hair: its lit side, its own shadow and a strand down the middle."""
    line = path(text)
    shape = spindle(line, width, 0.4)
    c.fill(shape, HAIR_SHADE)
    c.fill(shape + np.array([-width / 5, -width / 8]), HAIR, c.region(shape))
    c.stroke(line[8:-12], HAIR_LINE, 1.3)
    c.outline(shape, HAIR_LINE, 2.0)


def front_hair(c: Canvas) -> None:
    hair = c.region(FRONT_HAIR)
    c.fill(FRONT_HAIR, HAIR_SHADE)
    c.fill(FRONT_HAIR + np.array([-3.0, -4.0]), HAIR, hair)
    crown = path("-4,-126! 40,-119 80,-96 104,-50 108,20 104,80! 92,20 80,-40 50,-88!", True)
    c.fill(crown, HAIR_SHADE, hair)
    ring(c, hair)
    for text in STRANDS.split("|"):
        c.stroke(path(text), HAIR_LINE, 1.5, within=hair)
    c.stroke(path("-99,40 -98,0 -94,-34 -82,-74 -62,-100"), HAIR_LIGHT, 3.4, within=hair)
    c.outline(FRONT_HAIR, HAIR_LINE, 2.2)
    lock(c, "-82,20 -76,70 -82,112 -100,146", 13)
    lock(c, "84,20 90,80 86,122 72,160", 13)
    with c.frame(84, -50, 0.95, 12):
        flower(c)
    tuft = path("-14,-122! -8,-140 8,-152 34,-146! 14,-144 4,-136 2,-122!", True)
    c.fill(tuft, HAIR)
    c.fill(tuft + np.array([3.0, 5.0]), HAIR_SHADE, c.region(tuft))
    c.stroke(path("-14,-120 -8,-140 8,-152 34,-146 14,-144 4,-136 2,-122"), HAIR_LINE, 2.0)


def flower(c: Canvas) -> None:
    """The pin in her hair."""
    for turn in range(0, 360, 72):
        with c.frame(0, 0, 1, turn):
            petal = path("0,0! -7,-6 -9,-15 -4,-21 0,-18! 4,-21 9,-15 7,-6", True)
            c.fill(petal, "#ffffff")
            c.fill(petal + np.array([4.0, 5.0]), "#c9d5f2", c.region(petal))
            c.outline(petal, HAIR_LINE, 1.5)
            c.stroke(path("0,-5 0,-12"), "#8f9bd0", 1.2, "out")
    c.fill(oval(0, 0, 5), GOLD)
    c.fill(oval(1, 1.5, 3), GOLD_SHADE)
    c.outline(oval(0, 0, 5), GOLD_LINE, 1.4)


def flow(u: float, t: float) -> tuple[float, float]:
    """A place on the head: u from the left side (-1) to the right (1), t from crown to fringe."""
    knots = ((-8.0, -124.0), (2 + 84 * u, -112.0), (2 + 98 * u, -10.0))
    weight = ((1 - t) ** 2, 2 * t * (1 - t), t * t)
    x, y = (sum(w * k[i] for w, k in zip(weight, knots, strict=True)) for i in (0, 1))
    return x, y


def ring(c: Canvas, hair: Image.Image) -> None:
    """The band of light round the head, broken and frayed where the strands part."""
    rng = np.random.default_rng(5)
    for first, last in ((-0.86, -0.52), (-0.48, -0.2), (-0.17, 0.1), (0.13, 0.42), (0.45, 0.62)):
        for colour, top, low in ((HAIR_LIGHT, 0.42, 0.56), ("#fff4f5", 0.455, 0.515)):
            us = np.linspace(first, last, 11)
            jag = rng.uniform(0.2, 1.0, (2, 11)) * (np.arange(11) % 2) * (low - top)
            upper = [flow(u, top + 0.5 * j) for u, j in zip(us, jag[0], strict=True)]
            lower = [flow(u, low + 0.03 - j) for u, j in zip(us, jag[1], strict=True)]
            c.fill(np.array(upper + lower[::-1]), colour, hair)


def brows(c: Canvas) -> None:
    c.stroke(path("16,-30 30,-36 46,-35 56,-29"), HAIR_LINE, 2.6)
    c.stroke(path("-26,-30 -38,-35 -50,-33 -57,-28"), HAIR_LINE, 2.4)
