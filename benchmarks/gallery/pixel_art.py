"""Pixel art: sprites and tiles of few colours, each of their pixels enlarged to a square."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from draw import picture
from gallery.common import SIDE

Grid = NDArray[np.uint8]
PIXEL = 4  # side of a sprite's pixel in the truth, so that a quarter of it is the sprite itself
WIDE = SIDE // PIXEL
PALETTE = {
    "k": "#1a1426", "w": "#fff6e8", "s": "#f6c29a", "d": "#c67a5c", "r": "#d83a4c", "m": "#8c1f44",
    "b": "#3a6ee0", "n": "#25387a", "y": "#ffd84a", "o": "#f08a2c", "g": "#58b848", "e": "#24703c",
    "h": "#7a4a2c", "l": "#b47a46", "c": "#8ce0f4", "a": "#a8b0c4", "z": "#5a6078", "p": "#e07ad0",
}  # fmt: skip
# The left halves; the right ones mirror them. A dot is transparent.
HERO = """
.....kkk
...kkhhh
..khhlll
..khllll
.khhlsss
.khlssss
.khsskws
.khsskns
..kssssd
...kssdd
..kkkkmm
.krrrrmy
kssrrrry
ksdkrrrm
.kk.knnn
...knnnn
...knnk.
...kbbk.
..khhk..
..kkkk..
"""
SLIME = """
........
......kk
....kkgg
...kgggg
..kggwgg
.kggwggg
.kggggkg
kgggggkg
kggggggg
kegggggr
keeegggg
.kkkkkkk
"""
SHIP = """
.......k
......kw
......kw
.....kwc
.....kwc
....kaab
....kaac
.k..kaar
kr.kzaaa
krkzzaar
krzzaaaa
kzzzkaaa
kzkkkyoo
.k..kyyo
.....kyo
......ky
"""
FOE = """
..kk....
.kppk...
..kppk.k
..kppkpp
.kpppppp
kppykppp
kppkkppp
kppppppp
.kpmpmpm
..kppppp
.kpk.kpk
.kk...kk
"""
TREE = """
.....kkk
...kkggg
..kggwgg
.kggggge
.kgggegg
kggwgggg
kgeggggg
kegggegg
.keegggg
..kkeeeg
....kkkk
......kh
......kh
.....khl
....kkkk
"""
HEART = """
.kk.
krrk
krwr
krrr
.krr
..kr
...k
"""


def sprite(text: str) -> Image.Image:
    """A sprite of the letters of PALETTE, and its mirror image beside it."""
    rows = text.split()
    image = Image.new("RGBA", (2 * len(rows[0]), len(rows)))
    for y, row in enumerate(rows):
        for x, letter in enumerate(row + row[::-1]):
            if letter != ".":
                image.putpixel((x, y), ImageColor.getcolor(PALETTE[letter], "RGBA"))
    return image


def enlarged(image: Image.Image) -> Image.Image:
    return image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.NEAREST)


def put(scene: Image.Image, text: str, *places: tuple[int, int]) -> None:
    drawn = sprite(text)
    for place in places:
        scene.paste(drawn, place, drawn)


def dithered(top: str, bottom: str, height: int, steps: int = 6) -> Image.Image:
    """Bands of two colours mixed by a chequered pattern, as machines with few colours had them."""
    y, x = np.mgrid[0:height, 0:WIDE]
    bayer = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16
    level = np.floor(y / height * steps + bayer[y % 4, x % 4]) / steps
    ends = [np.array(ImageColor.getrgb(each)) for each in (top, bottom)]
    mixed = ends[0] + (ends[1] - ends[0]) * np.clip(level, 0, 1)[..., None]
    return Image.fromarray(mixed.astype(np.uint8))


def platform() -> Image.Image:
    """A side view: hills, bricks, a hero, slimes and coins."""
    scene = dithered("#3a6ee0", "#a8e4f8", WIDE)
    pen = ImageDraw.Draw(scene)
    for x, r in ((18, 26), (70, 34), (108, 24)):
        pen.ellipse((x - r, 92 - r, x + r, 92 + r), "#58b0a0", "#24703c")
    for x, y in ((12, 14), (58, 8), (88, 24)):
        for dx, dy, r in ((0, 0, 5), (7, -2, 7), (15, 0, 5)):
            pen.ellipse((x + dx - r, y + dy - r, x + dx + r, y + dy + r), "#fff6e8")
    put(scene, TREE, (2, 77), (92, 77))
    for x in range(0, WIDE, 8):
        tile(pen, x, 92)
    for x in (32, 40, 48, 72, 80):
        brick(pen, x, 58)
    put(scene, HERO, (34, 72), (68, 38))
    put(scene, SLIME, (54, 80), (74, 80))
    put(scene, HEART, (2, 2), (11, 2), (20, 2))
    for x in (40, 56, 90, 100):
        pen.ellipse((x, 42, x + 6, 50), PALETTE["y"], PALETTE["k"])
        pen.line((x + 3, 44, x + 3, 48), PALETTE["o"])
    return enlarged(scene)


def tile(pen: ImageDraw.ImageDraw, x: int, y: int) -> None:
    """Grass over earth with stones."""
    pen.rectangle((x, y, x + 7, WIDE), PALETTE["h"])
    pen.rectangle((x, y, x + 7, y + 2), PALETTE["g"])
    for dx, down in enumerate((4, 3, 5, 3, 4, 3, 3, 5)):
        pen.line((x + dx, y + 2, x + dx, y + down), PALETTE["e"])
    for dx, dy in ((1, 8), (5, 11), (2, 15)):
        pen.rectangle((x + dx, y + dy, x + dx + 1, y + dy + 1), PALETTE["l"])


def brick(pen: ImageDraw.ImageDraw, x: int, y: int) -> None:
    pen.rectangle((x, y, x + 7, y + 7), PALETTE["o"], PALETTE["k"])
    pen.line((x + 1, y + 1, x + 6, y + 1), PALETTE["y"])
    pen.line((x, y + 4, x + 7, y + 4), PALETTE["k"])
    pen.line((x + 4, y, x + 4, y + 4), PALETTE["k"])


def village() -> Image.Image:
    """A view from above: grass, a path, water with foam, houses and trees."""
    rng = np.random.default_rng(3)
    scene = Image.new("RGB", (WIDE, WIDE), PALETTE["g"])
    pen = ImageDraw.Draw(scene)
    for x, y in rng.integers(0, WIDE, (150, 2)):
        pen.line((x, y, x, y + 1), PALETTE["e"])
    pen.polygon(
        [(46, 0), (62, 0), (58, 40), (80, 62), (112, 66), (112, 80), (70, 78), (46, 50)],
        "#dcb878",
        PALETTE["l"],
    )
    pen.ellipse((-30, 64, 50, 140), PALETTE["b"], PALETTE["w"])
    for x, y in rng.integers((2, 74), (36, 110), (16, 2)):
        pen.line((x, y, x + 4, y), PALETTE["c"])
    for x, y, roof in ((8, 14, "r"), (76, 8, "n"), (80, 84, "o")):
        house(pen, x, y, roof)
    put(scene, TREE, (30, 30), (60, 84), (96, 44), (2, 44), (58, 4))
    put(scene, HERO, (48, 56))
    put(scene, SLIME, (84, 66))
    return enlarged(scene)


def house(pen: ImageDraw.ImageDraw, x: int, y: int, roof: str) -> None:
    pen.rectangle((x, y + 10, x + 23, y + 24), PALETTE["w"], PALETTE["k"])
    pen.polygon(
        [(x - 3, y + 11), (x + 4, y), (x + 19, y), (x + 26, y + 11)], PALETTE[roof], PALETTE["k"]
    )
    for dy in (3, 6, 9):
        pen.line((x + 2, y + dy, x + 21, y + dy), PALETTE["k"])
    pen.rectangle((x + 10, y + 16, x + 14, y + 24), PALETTE["h"], PALETTE["k"])
    for left in (x + 3, x + 17):
        pen.rectangle((left, y + 15, left + 4, y + 19), PALETTE["c"], PALETTE["k"])


def space() -> Image.Image:
    """A ship and its foes before a planet that is shaded by dithering."""
    scene = dithered("#0c0a20", "#2c1a58", WIDE)
    pen, rng = ImageDraw.Draw(scene), np.random.default_rng(7)
    for x, y in rng.integers(0, WIDE, (90, 2)):
        pen.point((x, y), (PALETTE["w"], PALETTE["c"], PALETTE["z"])[x % 3])
    planet = dithered("#f08a2c", "#5a1f54", 60, 8).crop((0, 0, 60, 60)).rotate(90)
    mask = Image.new("L", (60, 60))
    ImageDraw.Draw(mask).ellipse((0, 0, 59, 59), 255)
    scene.paste(planet, (62, 60), mask)
    put(scene, FOE, (8, 10), (34, 14), (60, 10), (86, 14), (22, 30), (48, 32), (74, 30))
    put(scene, SHIP, (46, 90))
    for x, y in ((53, 80), (54, 66), (53, 54), (20, 50), (84, 48)):
        pen.line((x, y, x, y + 4), PALETTE["y"])
        pen.line((x + 1, y, x + 1, y + 4), PALETTE["o"])
    put(scene, HEART, (2, 102), (11, 102))
    return enlarged(scene)


def bust() -> Image.Image:
    """A portrait as games show it beside dialogue: hard pixels of 24 colours."""
    large = picture("heroine", WIDE * 8 / 270).crop(
        (50 * 3, 70 * 3, 50 * 3 + WIDE * 8, 70 * 3 + WIDE * 8)
    )
    small = large.resize((WIDE, WIDE), Image.Resampling.NEAREST)
    few = small.quantize(24, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return enlarged(few)
