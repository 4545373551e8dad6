"""The heroine: a cel-shaded girl in a sailor collar under a summer sky."""

from __future__ import annotations

import numpy as np
from PIL import Image

# Local modules: their group depends on where the import sorter is run from.
# isort: split
from brush import Canvas, path, spindle
from heroine_head import (
    GOLD,
    GOLD_LINE,
    GOLD_SHADE,
    HAIR,
    HAIR_DEEP,
    HAIR_LINE,
    HAIR_SHADE,
    INK,
    SKIN,
    SKIN_LINE,
    SKIN_SHADE,
    head,
    lock,
)
from scenery import cloud

CLOTH, CLOTH_SHADE, CLOTH_LINE = "#ffffff", "#bccbea", "#3a3f78"
NAVY, NAVY_SHADE = "#3a4f9c", "#283570"

LOCKS = (
    "276,200 298,250 302,310 326,360 354,378@24|274,240 300,300 294,360 312,410 346,434@26"
    "|82,200 64,260 64,320 46,366 18,386@22|88,240 62,310 66,370 46,420 12,446@26"
    "|90,330 76,390 70,440 40,484@26|272,320 292,380 290,430 322,478@26"
)
SHIRT_SHADE = (
    "300,380 282,410 276,450 282,490! 320,490! 306,420"
    "|184,440! 226,432 262,402! 252,440 240,490! 176,490!"
    "|60,430! 78,420 92,440 96,490! 50,490!|100,390 120,425 172,452! 140,440 112,420"
    "|104,486! 112,470 128,464! 122,476 124,490!"
)
FOLDS = (
    "92,408 101,438 100,486|278,408 271,440 274,486|92,408 98,420 110,430|278,408 272,420 262,428"
    "|100,486 106,472 122,462|274,484 266,470 252,464|70,430 76,446 86,452"
    "|304,428 298,444 290,450"
)


def heroine(size: float = 1.0) -> Image.Image:
    canvas = Canvas(360, 480, size, "#ffffff")
    sky(canvas)
    back_hair(canvas)
    body(canvas)
    with canvas.frame(174, 206, 1.08, -5):
        head(canvas)
    petals(canvas)
    return canvas.finish().convert("RGB")


def sky(c: Canvas) -> None:
    stops = [(0.0, "#2f7fd6"), (0.45, "#6fb8ee"), (0.8, "#c2e8f8"), (1.0, "#fdf3e4")]
    c.gradient(stops, (0, 0), (0, 480))
    rng = np.random.default_rng(7)
    cloud(c, rng, (310, 350), (110, 130))
    cloud(c, rng, (20, 380), (100, 120))
    c.gradient([(0, "#dff2fa00"), (1, "#fdf3e4")], (0, 330), (0, 440))
    cloud(c, rng, (52, 112), (44, 16))


def back_hair(c: Canvas) -> None:
    """The long hair behind: one dark mass with free locks streaming off both sides."""
    for spec in LOCKS.split("|"):
        text, width = spec.split("@")
        lock(c, text, float(width))
    mass = path(
        "84,150! 70,220 72,290 78,350 74,410 60,470 50,520! 310,520! 294,460 286,400"
        " 290,340 298,280 296,220 276,150!",
        closed=True,
    )
    c.fill(mass, HAIR_SHADE)
    inside = c.region(mass)
    deep = "112,150! 96,260 106,340 94,400 96,520! 270,520! 272,400 262,320 270,260 254,150!"
    c.fill(path(deep, True), HAIR_DEEP, inside)
    for text in ("84,220 80,280 86,350 80,410 66,470", "286,230 288,290 280,350 278,400 290,450"):
        c.fill(spindle(path(text), 11), HAIR, inside)
    for text in (
        "96,240 88,300 94,360 86,420 70,490",
        "276,250 278,310 268,370 274,430 286,480",
        "76,250 76,300 80,350",
        "112,300 108,350 112,380",
        "254,300 256,350 250,390",
    ):
        c.stroke(path(text), HAIR_LINE, 1.5, within=inside)
    c.outline(mass, HAIR_LINE, 2.2)


def body(c: Canvas) -> None:
    neck(c)
    shirt = path(
        "152,330! 120,348 90,366 74,392 64,440 58,490! 312,490! 306,440 296,392 280,364"
        " 250,346 216,328! 208,380 184,440! 160,385",
        closed=True,
    )
    c.fill(shirt, CLOTH)
    inside = c.region(shirt)
    for text in SHIRT_SHADE.split("|"):
        c.fill(path(text, True), CLOTH_SHADE, inside)
    for text in FOLDS.split("|"):
        c.stroke(path(text), CLOTH_LINE, 1.5)
    c.outline(shirt, CLOTH_LINE, 2.0)
    collar(c)
    bow(c)


def neck(c: Canvas) -> None:
    shape = "150,270! 154,310 150,334! 160,400! 184,440! 206,400! 216,330! 210,310 212,270!"
    skin = c.region(path(shape, True))
    c.flood(skin, SKIN)
    under = path("148,270! 150,300 160,322 184,338 206,316 214,270!", True)
    c.fill(under, SKIN_SHADE, skin)
    c.stroke(path("182,352 180,366 183,376"), SKIN_SHADE, 2.2)
    c.stroke(path("153,300 154,318 150,334"), SKIN_LINE, 1.6)
    c.stroke(path("211,300 210,316 215,330"), SKIN_LINE, 1.6)
    c.stroke(path("160,352 170,358 178,357"), SKIN_LINE, 1.3)
    c.stroke(path("208,350 198,357 190,356"), SKIN_LINE, 1.3)


def collar(c: Canvas) -> None:
    left = path("152,328! 122,346 92,368! 116,404 148,428 182,450! 166,404 156,366 151,336", True)
    right = path("216,326! 250,344 282,366! 258,406 224,430 186,450! 204,404 214,366 218,336", True)
    for flap, stripe in (
        (left, "101,367 124,398 152,419 177,439"),
        (right, "272,366 250,399 220,420 190,440"),
    ):
        inside = c.region(flap)
        c.fill(flap, NAVY)
        shade = path("156,326! 150,350 160,390 184,450! 176,380 164,350!", True)
        c.fill(shade, NAVY_SHADE, inside)
        c.fill(
            path("216,326! 232,352 236,400 214,440! 186,450! 204,404 214,366", True),
            NAVY_SHADE,
            inside,
        )
        c.stroke(path(stripe), "#ffffff", 2.4, "none", within=inside)
        c.outline(flap, INK, 2.0)


def bow(c: Canvas) -> None:
    tails = (
        "180,448! 168,466 158,490! 178,490! 186,466 188,450!",
        "184,450! 192,470 196,490! 216,490! 206,466 192,446!",
    )
    loops = (
        "182,444! 164,428 140,424 132,436 134,456 148,464 166,458!",
        "188,444! 206,426 230,420 240,432 238,452 224,460 204,456!",
    )
    for text in (*tails, *loops):
        shape = path(text, True)
        c.fill(shape, GOLD)
        inside = c.region(shape)
        c.fill(shape + np.array([3.0, 9.0]), GOLD_SHADE, inside)
        c.outline(shape, GOLD_LINE, 1.9)
    c.stroke(path("176,446 162,442 150,440"), GOLD_LINE, 1.4, "out")
    c.stroke(path("196,444 208,438 220,436"), GOLD_LINE, 1.4, "out")
    knot = path("176,440 186,436 195,440 197,450 192,458 182,459 174,452", True)
    c.fill(knot, GOLD)
    c.fill(knot + np.array([3.0, 7.0]), GOLD_SHADE, c.region(knot))
    c.outline(knot, GOLD_LINE, 1.9)


def petals(c: Canvas) -> None:
    for x, y, turn in (
        (40, 210, 30),
        (330, 140, -40),
        (312, 250, 70),
        (24, 300, -20),
        (296, 40, 15),
    ):
        with c.frame(x, y, 1.0, turn):
            petal = path("0,-8! 6,-2 5,6 0,9 -5,6 -6,-2", True)
            c.fill(petal, "#ffd3e0")
            c.outline(petal, "#d9779c", 1.0)
