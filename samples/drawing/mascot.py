"""The mascot: a chibi cat hugging a shining star, on a transparent background."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops

# Local modules: their group depends on where the import sorter is run from.
# isort: split
from brush import Canvas, Points, oval, path, through

FUR, FUR_SHADE, LINE = "#fff6ea", "#e6c9d2", "#5a2f4d"
PATCH, PATCH_SHADE = "#f7a656", "#d9764a"
STAR, STAR_SHADE = "#ffe066", "#f7a93c"
RED, RED_SHADE = "#ee4a63", "#b02a55"

HEAD = path(
    "128,40 158,43 184,54 202,74 211,98 213,116 215,124 222,133! 215,134 209,135! 208,141"
    " 211,149!"
    " 203,149 194,152 178,161 154,167 128,169 102,167 78,161 62,152 53,149 45,149! 48,141 47,135!"
    " 41,134 34,133! 41,124 43,116 45,98 54,74 72,54 98,43",
    closed=True,
)
EARS = (
    "58,86! 50,56 50,30 56,12! 78,22 98,36 112,50! 84,66",
    "198,86! 206,56 206,30 200,12! 178,22 158,36 144,50! 172,66",
)
BODY = path(
    "96,150! 86,176 80,204 84,226 100,236 128,238 156,236 172,226 176,204 170,176 160,150!", True
)
TAIL = path(
    "160,226! 190,232 214,222 222,200 216,178 220,164 232,156! 242,170 240,184 238,208"
    " 222,236 190,244 158,240!",
    True,
)


def mascot(size: float = 1.0) -> Image.Image:
    canvas = Canvas(256, 256, size)
    canvas.flood(canvas.soften(canvas.region(oval(134, 238, 74, 8)), 3.5), "#2a1a4a80")
    canvas.glow(
        128, 160, 92, [(0, "#fff0a0ff"), (0.55, "#ffe27ab0"), (0.8, "#ffd76a38"), (1, "#ffd76a00")]
    )
    tail(canvas)
    body(canvas)
    collar(canvas)
    head(canvas)
    star(canvas)
    paws(canvas)
    sparkles(canvas)
    return bare(canvas.finish())


def bare(image: Image.Image) -> Image.Image:
    """Black under full transparency, which is what most programs leave there."""
    pixels = np.array(image)
    pixels[pixels[..., 3] == 0] = 0
    return Image.fromarray(pixels, "RGBA")


def furry(c: Canvas, shape: Points, shade: tuple[float, float] = (-5, -6)) -> Image.Image:
    """A white shape shaded on its far side; gives back its inside."""
    inside = c.region(shape)
    c.fill(shape, FUR_SHADE)
    c.fill(shape + np.array(shade), FUR, inside)
    return inside


def patch(c: Canvas, text: str, inside: Image.Image, shade: tuple[float, float] = (-4, -6)) -> None:
    shape = path(text, True)
    area = ImageChops.multiply(c.region(shape), inside)
    c.fill(shape, PATCH_SHADE, inside)
    c.fill(shape + np.array(shade), PATCH, area)


def tail(c: Canvas) -> None:
    inside = furry(c, TAIL, (-3, -4))
    patch(c, "206,196! 216,202 226,200 246,204! 250,140! 200,140!", inside)
    patch(c, "196,250! 200,236 196,226 198,214! 216,214! 224,250!", inside, (-3, -3))
    c.outline(TAIL, LINE, 2.6)


def body(c: Canvas) -> None:
    inside = furry(c, BODY)
    patch(c, "150,140! 148,160 160,176 164,196 180,204! 190,140!", inside)
    c.fill(path("90,150! 100,168 128,174 156,168 166,150! 128,140!", True), FUR_SHADE, inside)
    c.outline(BODY, LINE, 2.6)
    for x in (104, 152):
        foot = oval(x, 232, 18, 10)
        furry(c, foot, (-1, -4))
        c.outline(foot, LINE, 2.4)
        for dx in (-5, 4):
            c.stroke(path(f"{x + dx},233 {x + dx},240"), LINE, 1.6, "none")


def head(c: Canvas) -> None:
    for k, text in enumerate(EARS):
        ear = path(text, True)
        inside = furry(c, ear, (-2, -2))
        if k:
            patch(c, text, inside)
        middle = np.array([[80.0, 52.0], [176.0, 52.0]][k])
        inner = (ear - middle) * 0.62 + middle + np.array([0.0, 3.0])
        c.fill(inner, "#f59aa8", inside)
        c.fill(inner + np.array([3.0, 10.0]), "#ffc4c4", c.region(inner))
        c.outline(ear, LINE, 2.6)
    inside = furry(c, HEAD)
    patch(c, "134,36! 132,56 140,74 158,84 182,88 208,84! 210,36!", inside)
    patch(c, "88,40! 92,54 88,64 76,72 58,76! 50,40!", inside, (-2, -4))
    c.outline(HEAD, LINE, 2.8)
    for text in ("118,43 117,52 119,60", "128,42 128,54 128,66", "138,43 139,52 137,60"):
        c.stroke(path(text), PATCH_SHADE, 3.0, "out", inside)
    face(c, inside)


def face(c: Canvas, inside: Image.Image) -> None:
    for x in (72, 184):
        blush = ImageChops.multiply(c.soften(c.region(oval(x, 136, 13, 7)), 3), inside)
        c.flood(blush, "#ff7f8fb0")
    for x, wide in ((96, -1.0), (160, 1.0)):
        with c.frame(x, 114, wide=wide):
            eye(c, 1 if wide > 0 else -1)
    c.fill(path("123,131! 128,130 133,131! 131,135 128,137 125,135", True), "#e0607a")
    c.stroke(path("128,137 127,142 121,146 115,143"), LINE, 2.0)
    c.stroke(path("128,137 129,142 135,146 141,143"), LINE, 2.0)
    c.fill(path("122,145! 128,141! 134,145! 132,152 128,154 124,152", True), "#d6455f")
    c.stroke(path("122,145 124,152 128,154 132,152 134,145"), LINE, 1.6)
    whisker = path("70,0 85,3 102,7") - np.array([70.0, 0.0])
    for side in (-1.0, 1.0):
        for y, turn in ((130, -12), (133, -3), (137, 6)):
            with c.frame(128 + side * 70, y, 1, side * turn, side):
                c.stroke(whisker, LINE, 1.4, "out")


def eye(c: Canvas, light: int) -> None:
    shape = oval(0, 0, 15, 19)
    c.fill(shape, "#3a1838")
    lens = c.region(oval(0, 1.5, 12.6, 16))
    c.gradient([(0, "#4a1f48"), (0.5, "#a8442f"), (1, "#ffc35a")], (0, -14), (0, 17), lens)
    c.fill(oval(0, 0, 6, 9), "#2c1030")
    c.fill(oval(0, 22, 12, 10), "#ffe3a0", lens)
    c.fill(oval(-5 * light, -7, 5.2, 6, -15 * light), "#ffffff")
    c.fill(oval(5.5 * light, 7, 2.9, 3.3), "#ffffff")
    c.fill(oval(-5.5 * light, 6, 1.6, 1.8), "#ffe9c0")
    c.fill(
        path(
            "-17,-4! -12,-17 0,-22 12,-17 17,-6 22,-8! 20,0 16,3! 13,-8 8,-15 0,-17 -8,-15 -13,-8",
            True,
        ),
        "#3a1838",
    )
    c.stroke(path("-8,-28 1,-31 10,-28"), "#a85a4a", 2.2)


def collar(c: Canvas) -> None:
    band = path(
        "94,162! 112,170 128,170 144,168 162,162! 162,170! 144,176 128,178 112,178 94,170!", True
    )
    c.fill(band, RED)
    c.fill(
        path("98,166! 112,173 128,175 144,173 158,166! 158,176! 128,182 98,176!", True),
        RED_SHADE,
        c.region(band),
    )
    c.outline(band, LINE, 2.2)


def star(c: Canvas) -> None:
    a = np.radians(np.arange(0, 360, 36) - 90)
    r = np.where(np.arange(10) % 2 == 0, 30.0, 15.5)
    tips = np.stack([128 + r * np.cos(a), 203 + r * np.sin(a)], axis=1)
    shape = through(tips, range(0, 10, 2), True)
    inside = c.region(shape)
    c.fill(shape, STAR_SHADE)
    c.fill(shape + np.array([-3.0, -4.0]), STAR, inside)
    c.fill(oval(119, 195, 7, 4, -40), "#fffbe0", inside)
    c.outline(shape, "#8a4a1f", 2.4)


def paws(c: Canvas) -> None:
    for text in (
        "84,184! 92,178 104,184 112,194 112,204 104,208 94,204 86,198!",
        "172,184! 164,178 152,184 144,194 144,204 152,208 162,204 170,198!",
    ):
        arm = path(text, True)
        furry(c, arm, (-1.5, -3))
        c.stroke(arm, LINE, 2.3, "none")
    for x, y in ((108, 203), (103, 205), (148, 203), (153, 205)):
        c.stroke(path(f"{x},{y} {x},{y - 6}"), LINE, 1.4, "none")


def sparkles(c: Canvas) -> None:
    """Four-pointed glints, each in a small glow that fades to transparent."""
    for x, y, r in ((28, 92, 10), (238, 96, 7), (40, 196, 8), (232, 44, 11), (22, 40, 6)):
        c.glow(x, y, r * 1.8, [(0, "#fff3b0c0"), (0.5, "#ffe58a50"), (1, "#ffe58a00")])
        waist, wide = r / 5, r * 0.7
        half = np.array([(0, -r), (waist, -waist), (wide, 0), (waist, waist)])
        glint = through(np.concatenate([half, -half]), range(0, 8, 2), True)
        c.fill(glint + np.array([x, y]), "#fffdf0")
