"""Line art: a fox girl in a kimono before the moon, in black ink with hatching, on white.

She is drawn facing left, and mirrored as a whole.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops

# Local modules: their group depends on where the import sorter is run from.
# isort: split
from brush import Canvas, Shape, ink, oval, path, ribbon
from hatching import BLACK, WHITE, comb, inked
from lineart_head import head

SCRATCHES = (
    "-58,70 -58,92 -48,118|-50,74 -48,96 -40,116|66,60 66,96 72,124|56,70 54,98 58,114"
    "|-70,50 -72,90 -74,112|76,60 80,96 84,110|46,80 44,104 42,126"
)
BLOSSOMS = (
    *((112, 388, 10), (74, 402, 40), (236, 386, -20), (268, 400, 30)),
    *((212, 404, 5), (128, 352, 60), (236, 346, 15)),
)


def lineart(size: float = 1.0) -> Image.Image:
    canvas = Canvas(320, 400, size, WHITE)
    with canvas.frame(320, 0, wide=-1):
        moon(canvas)
        tail(canvas)
        with canvas.frame(166, 198, 1.0, -6):
            back_hair(canvas)
        kimono(canvas)
        with canvas.frame(166, 198, 1.0, -6):
            head(canvas)
    return canvas.finish().convert("L")


def moon(c: Canvas) -> None:
    disc = c.region(oval(142, 150, 128))
    night = ImageChops.invert(disc)
    lines: Shape = []
    for x in np.arange(-400, 340, 6.5):
        lines += ink(np.array([[x, 0.0], [x + 410.0, 410.0]]), 1.0, "none")
    rng = np.random.default_rng(1)
    for x in np.arange(0, 640, 6.5):
        depth = rng.uniform(40, 110)
        lines += ink(np.array([[x, -5.0], [x - depth, depth - 5]]), 1.0, "out")
    c.paint(lines, BLACK, night)
    c.paint(ribbon(oval(142, 150, 128), np.full(72, 1.8)), BLACK)
    for x, y, r in ((60, 110, 13), (52, 150, 7), (78, 72, 6), (226, 100, 10), (238, 140, 6)):
        c.stroke(oval(x, y, r, r * 0.9)[10:60], BLACK, 1.0)
        comb(
            c,
            f"{x - r * 0.6},{y + r * 0.5} {x + r * 0.7},{y + r * 0.4}",
            f"{x - r * 0.2},{y - r * 0.2} {x + r * 0.7},{y - r * 0.3}",
            6,
            0.7,
        )


def tail(c: Canvas) -> None:
    """The brush behind her shoulder, its tip in solid shade strokes."""
    fur = (
        "216,420! 252,400 274,360 280,310 276,268 262,232! 276,240! 270,214 258,194! 273,202!"
        " 264,176 244,152! 280,168 302,204 310,244! 317,236! 320,290 314,340! 321,334!"
        " 310,384 288,430!"
    )
    inside = inked(c, fur, 2.0)
    comb(
        c,
        "248,156 272,174 296,206 309,240",
        "264,184 282,206 292,226 300,262",
        40,
        1.2,
        inside,
        0.1,
    )
    for text in (
        "277,262 288,300 289,340 276,380",
        "294,250 301,300 296,350",
        "262,232 274,250 280,276",
        "306,290 305,330 298,366",
        "268,400 282,376 290,352",
    ):
        c.stroke(path(text), BLACK, 1.3, within=inside)
    comb(c, "281,280 284,320 276,364 258,396", "292,286 296,322 288,364 274,400", 36, 0.8, inside)


def back_hair(c: Canvas) -> None:
    """Solid black behind the neck, with a few strands of light scratched out."""
    mass = (
        "-94,-30! -106,40 -104,80 -96,104! -88,96! -74,122! -62,104! -44,126! 40,134!"
        " 58,118! 70,138! 84,118! 98,124! 110,60 104,-30!"
    )
    inside = inked(c, mass, 2.0, BLACK)
    for text in SCRATCHES.split("|"):
        c.stroke(path(text), WHITE, 1.1, within=inside)


def kimono(c: Canvas) -> None:
    neck = inked(c, "146,262! 148,300 140,322! 168,372! 206,320! 196,300 196,258!", 1.6)
    comb(
        c, "148,270 164,286 182,292 198,276", "148,300 164,316 186,324 202,312", 27, 0.9, neck, 0.05
    )
    c.stroke(path("150,336 160,342 167,341"), BLACK, 1.1)
    c.stroke(path("196,334 186,341 178,341"), BLACK, 1.1)
    robe = inked(
        c,
        "140,316! 112,334 80,352 58,380 46,430! 304,430! 294,384 272,350 238,332 206,314!"
        " 190,360 170,390! 154,354",
        2.0,
    )
    pattern(c, robe)
    comb(c, "300,400 286,368 262,344", "276,400 266,378 246,356", 34, 0.9, robe)
    comb(c, "46,400 60,376 84,352", "66,400 74,384 94,364", 24, 0.9, robe)
    for text in ("92,372 84,390 82,410", "258,368 264,388 262,410", "100,366 110,384 112,404"):
        c.stroke(path(text), BLACK, 1.4)
    lapels(c)


def lapels(c: Canvas) -> None:
    """The crossed collar, the left side over the right as it is worn."""
    inked(c, "208,308! 200,318 186,352 160,404! 148,404! 176,350 196,312!", 1.4)
    band = inked(c, "214,312! 222,320! 204,358 172,408! 150,408! 182,358 204,316!", 1.8)
    comb(c, "222,320 204,358 174,408", "211,324 192,362 160,408", 44, 0.8, band)
    inked(c, "139,310! 148,318 164,352 184,386! 194,404! 202,404! 176,352 154,314!", 1.4)
    lapel = inked(c, "134,312! 126,322! 142,354 176,410! 204,410! 168,352 148,318!", 1.8)
    comb(c, "148,318 168,352 200,406", "142,322 158,356 188,408", 36, 0.8, lapel)


def pattern(c: Canvas, robe: Image.Image) -> None:
    """Ume blossoms on the cloth."""
    for left, top, turn in BLOSSOMS:
        with c.frame(left, top, 0.9, turn):
            a = np.radians(np.arange(0, 360, 72))
            spokes = np.stack([np.cos(a), np.sin(a)], axis=1)
            c.paint([oval(x, y, 4.2) for x, y in spokes * 5.4], BLACK, robe)
            for spoke in spokes:
                c.stroke(np.stack([spoke * 0, spoke * 6]), WHITE, 1.3, "none", robe)
            c.fill(oval(0, 0, 1.8), WHITE, robe)
