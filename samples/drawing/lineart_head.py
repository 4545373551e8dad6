"""The fox girl's head, in its own frame: the eye line lies a little below y = 0."""

from __future__ import annotations

import numpy as np
from PIL import ImageChops

# Local modules: their group depends on where the import sorter is run from.
# isort: split
from brush import Canvas, oval, path, ribbon, spindle
from hatching import BLACK, WHITE, comb, inked

FACE = path(
    "-65,-40! -68,-12 -67,8 -63,28 -52,50 -34,70 -18,83 -12,86 -5,84 16,72 42,54 60,32 67,6"
    " 70,-14 68,-50! 0,-90!",
    closed=True,
)
HAIR = path(
    "-74,112! -90,88 -101,50 -104,10 -102,-30 -93,-70 -72,-102 -40,-121 -2,-126 40,-120 77,-98"
    " 99,-62 107,-20 108,20 105,62 96,98 78,128!"
    " 82,92 83,54 79,20 72,-22! 70,-8 60,8! 60,-8 56,-26! 52,-8 41,6! 42,-10 38,-36!"
    " 33,-18 21,-4! 22,-20 18,-42! 13,-24 1,-8! 1,-24 -4,-46! -8,-28 -20,-10! -20,-26 -24,-46!"
    " -29,-28 -41,-8! -41,-22 -43,-42! -49,-24 -61,-4! -60,-20 -62,-36! -70,-10 -75,20 -75,64",
    closed=True,
)
STRANDS = (
    "72,-22 62,-64 26,-110|56,-26 46,-66 16,-106|38,-36 28,-72 8,-104|18,-42 12,-76 0,-102"
    "|-4,-46 -6,-78 -8,-102|-24,-46 -24,-78 -16,-104|-43,-42 -40,-76 -24,-106"
    "|-62,-36 -56,-74 -32,-108"
    "|60,4 56,-30 40,-66|41,2 36,-40 22,-76|21,-8 18,-50 10,-74|-20,-14 -18,-48 -16,-70"
    "|-41,-12 -38,-50 -30,-74|-61,-8 -57,-44 -48,-70|92,90 95,30 88,-26 66,-74"
    "|98,60 100,10 94,-36"
    "|-88,74 -95,20 -91,-30 -74,-76|-82,90 -87,40 -84,-6 -76,-36|86,106 91,60 90,20"
    "|-95,50 -99,10 -96,-30"
    "|79,60 76,20 70,-10|-78,96 -82,60"
)


def head(c: Canvas) -> None:
    ears(c)
    c.fill(FACE, WHITE)
    c.outline(FACE, BLACK, 1.9)
    skin = c.region(FACE)
    comb(c, "68,-10 62,30 44,54 18,72", "56,-6 50,26 34,48 8,70", 40, 0.8, skin)
    comb(
        c,
        "-62,-32 -30,-34 0,-34 30,-30 66,-20",
        "-64,-8 -34,-16 -4,-16 26,-12 62,2",
        50,
        0.75,
        skin,
        0.2,
    )
    for x, wide in ((30, 1.0), (-37, -0.84)):
        with c.frame(x, 17, wide=wide):
            eye(c, 1 if wide > 0 else -1)
    for text in ("-14,43 -17,48 -13,50", "-22,64 -16,66 -9,64 -2,66 8,62", "-13,71 -9,72 -4,71"):
        c.stroke(path(text), BLACK, 1.5)
    for x in (38, 46, 54, -52, -46):
        c.stroke(np.array([[x + 2.0, 43.0], [x - 2.0, 50.0]]), BLACK, 1.0)
    hair(c)
    c.stroke(path("14,-24 28,-31 44,-31 56,-25"), BLACK, 2.2)
    c.stroke(path("-24,-24 -36,-30 -47,-29 -55,-24"), BLACK, 2.0)


def ears(c: Canvas) -> None:
    for outer, inner, root, tip, tufts in (
        (
            "-86,-66! -98,-108 -100,-146 -94,-178! -70,-160 -46,-136 -26,-106!",
            "-82,-80! -90,-112 -92,-140 -88,-160! -72,-144 -58,-126 -46,-106!",
            "-86,-90 -92,-120 -90,-152",
            "-62,-96 -72,-120 -80,-144",
            ("-80,-78! -76,-104 -70,-122! -68,-104! -62,-118! -60,-100! -52,-110! -44,-92!",),
        ),
        (
            "28,-110! 52,-140 80,-166 106,-182! 112,-150 112,-108 98,-64!",
            "52,-108! 66,-132 84,-150 100,-162! 104,-136 102,-108 92,-80!",
            "62,-126 84,-148 98,-156",
            "70,-104 84,-124 96,-134",
            ("46,-94! 58,-112! 62,-102! 72,-122! 74,-104! 82,-120! 84,-98! 92,-78!",),
        ),
    ):
        inked(c, outer, 2.1)
        shell = inked(c, inner, 1.4)
        comb(c, root, tip, 26, 1.0, shell)
        for text in tufts:
            inked(c, text, 1.4)


def eye(c: Canvas, light: int) -> None:
    """A fox's eye: long, slanting up to its outer corner, on the right here."""
    white = path("-22,7! -14,-5 -2,-11 10,-12 19,-9 26,-4! 20,11 10,17 -4,17 -14,13", True)
    c.fill(white, WHITE)
    inside = c.region(white)
    iris = oval(1, 2, 13.5, 16.5)
    c.paint(ribbon(iris, np.full(72, 1.6)), BLACK, inside)
    both = ImageChops.multiply(c.region(iris), inside)
    c.fill(spindle(path("-14,-8 1,-12 16,-8"), 20, 0.5), BLACK, both)
    c.fill(oval(1, 2, 3.4, 9.5), BLACK, both)
    comb(c, "-12,0 1,-4 14,0", "-8,13 1,15 10,13", 15, 0.8, both)
    c.fill(oval(1 - 6 * light, -3.5, 4.2, 4.8), WHITE)
    c.fill(oval(1 + 6 * light, 9, 2.1, 2.5), WHITE)
    lash = "-25,9! -16,-6 -3,-14 11,-16 22,-12 34,-12! 28,-6 25,0! 19,-6 9,-9 -3,-8 -14,-2"
    c.fill(path(lash, True), BLACK)
    c.stroke(path("23,3 18,12 9,18 -3,18.5"), BLACK, 1.3, "in")
    c.stroke(path("-16,-14 -4,-20 11,-22 23,-19"), BLACK, 1.1)


def hair(c: Canvas) -> None:
    c.fill(HAIR, WHITE)
    inside = c.region(HAIR)
    for text in STRANDS.split("|"):
        c.stroke(path(text), BLACK, 1.3, within=inside)
    comb(c, "-96,-30 -88,-72 -64,-104", "-80,-22 -72,-60 -52,-90", 22, 0.8, inside)
    comb(
        c,
        "104,40 102,-20 92,-64 64,-104 40,-118",
        "84,40 84,-16 74,-52 50,-84 32,-100",
        54,
        0.85,
        inside,
    )
    comb(c, "100,84 106,40", "86,80 88,44", 14, 0.8, inside)
    comb(
        c,
        "74,-20 60,-30 38,-38 18,-44 -4,-48 -24,-48 -44,-44 -62,-38",
        "66,-50 52,-58 34,-64 16,-70 -4,-72 -22,-70 -42,-66 -58,-60",
        48,
        0.8,
        inside,
        0.4,
    )
    c.outline(HAIR, BLACK, 2.2)
    with c.frame(90, -46, 1.0, 10):
        ornament(c)


def ornament(c: Canvas) -> None:
    """A camellia with two cords and bells."""
    for dx in (-5, 6):
        c.stroke(path(f"{dx},6 {dx - 3},26 {dx},46"), BLACK, 1.4, "none")
        inked(c, f"{dx},44 {dx + 5},49 {dx},55 {dx - 5},49", 1.4)
        c.stroke(path(f"{dx - 4},50 {dx + 4},50"), BLACK, 0.9)
    for turn in range(0, 360, 72):
        with c.frame(0, 0, 0.95, turn):
            petal = "0,0! -8,-6 -11,-14 -6,-20 0,-18! 6,-20 11,-14 8,-6"
            inside = inked(c, petal, 1.5)
            comb(c, "-4,-2 0,-4 4,-2", "-6,-14 0,-15 6,-14", 7, 0.9, inside)
    c.fill(oval(0, 0, 4.4), BLACK)
    c.fill(oval(-1, -1, 1.5), WHITE)
