"""Text: dialogue, menus, titles and small print, in the font that comes with Pillow."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from gallery.cel import heroine
from gallery.common import SIDE

FINE = 4  # letters are drawn at so many times the size


def write(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: float,
    colour: str = "#111111",
    anchor: str = "la",
    edge: tuple[float, str] = (0, "#000000"),
) -> None:
    """Text at a place and size in pixels of the picture; an anchor as Pillow names them."""
    font = ImageFont.load_default(size * FINE)
    at = (place[0] * FINE, place[1] * FINE)
    width, outline = round(edge[0] * FINE), edge[1]
    pen.text(at, text, colour, font, anchor, stroke_width=width, stroke_fill=outline)


def page(colour: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (SIDE * FINE, SIDE * FINE), colour)
    return image, ImageDraw.Draw(image)


def rounded(
    pen: ImageDraw.ImageDraw, area: tuple[float, ...], fill: str, line: str, wide: float = 2
) -> None:
    pen.rounded_rectangle([each * FINE for each in area], 10 * FINE, fill, line, round(wide * FINE))


def dialogue() -> Image.Image:
    """Speech balloons, and a sound written large."""
    image, pen = page("#ffffff")
    for x in range(-SIDE, SIDE, 14):
        pen.line([x * FINE, 0, (x + SIDE) * FINE, SIDE * FINE], "#c8c8c8", 2 * FINE)
    balloon(pen, (20, 16, 236, 156), (150, 176), ["WAIT...", "DO YOU HEAR", "THE RAIN?"], 24)
    balloon(
        pen,
        (236, 120, 436, 262),
        (280, 290),
        ["It stopped", "an hour ago, and", "nobody noticed."],
        20,
    )
    balloon(
        pen,
        (30, 296, 270, 430),
        (290, 300),
        ["I did.", "I only wanted to stay", "a little longer."],
        18,
    )
    write(pen, (356, 370), "CRASH!", 40, "#ffffff", "mm", (4, "#111111"))
    return image.reduce(FINE)


def balloon(
    pen: ImageDraw.ImageDraw,
    area: tuple[float, float, float, float],
    tip: tuple[float, float],
    lines: list[str],
    size: float,
) -> None:
    x, y = (area[0] + area[2]) / 2, (area[1] + area[3]) / 2
    tail = [(x - 16, area[3] - 20), tip, (x + 16, area[3] - 20)]
    pen.ellipse([each * FINE for each in area], "#ffffff", "#111111", 3 * FINE)
    pen.polygon([(a * FINE, b * FINE) for a, b in tail], "#ffffff")
    for k, text in enumerate(lines):
        write(pen, (x, y + (k - (len(lines) - 1) / 2) * size * 1.2), text, size, anchor="mm")


def menu() -> Image.Image:
    """The menu of a game: a list with numbers, bars, and notes in small letters."""
    image, pen = page("#20284c")
    rounded(pen, (10, 10, 438, 66), "#2f3a70", "#c8d4ff")
    write(pen, (26, 22), "INVENTORY", 28, "#ffffff")
    write(pen, (424, 26), "12,480 G", 22, "#ffe27a", "ra")
    items = (
        "Healing Potion",
        "Silver Sword +3",
        "Moon Charm",
        "Rusty Key",
        "Phoenix Feather",
        "Map of Elden",
    )
    rounded(pen, (10, 76, 280, 350), "#28325f", "#8494d4")
    for k, name in enumerate(items):
        tone = "#ffe27a" if k == 1 else "#e8ecff"
        write(pen, (26, 92 + 42 * k), name, 20, tone)
        write(pen, (266, 92 + 42 * k), f"x{(7 * k) % 11 + 1}", 20, tone, "ra")
    rounded(pen, (290, 76, 438, 350), "#28325f", "#8494d4")
    for k, (name, value) in enumerate(
        (("HP", 84), ("MP", 37), ("ATK", 62), ("DEF", 48), ("SPD", 91))
    ):
        write(pen, (302, 92 + 50 * k), f"{name}  {value}", 18, "#e8ecff")
        pen.rectangle(
            [each * FINE for each in (302, 116 + 50 * k, 302 + value * 1.25, 122 + 50 * k)],
            "#5ce0a0",
        )
    rounded(pen, (10, 360, 438, 438), "#1a2040", "#8494d4")
    write(pen, (24, 372), "A blade forged by moonlight. Deals 20% more damage", 14, "#c8d4ff")
    write(pen, (24, 394), "to shadows, but must never be drawn before dusk.", 14, "#c8d4ff")
    write(pen, (24, 416), "A: equip   B: back   X: sort by name   Y: drop", 12, "#8494d4")
    return image.reduce(FINE)


def print_page() -> Image.Image:
    """A page of a book: a headline, paragraphs of small letters, and a table."""
    image, pen = page("#fbf7ec")
    write(pen, (28, 22), "Chapter 3. The Ink Maker", 30, "#2a1f1a")
    text = (
        "The shop stood where the canal bends, and its window was",
        "always dark with samples: vermilion, indigo, lamp black.",
        "Nobody remembered who had painted the sign, only that",
        "the letters never faded, not in thirty summers of sun.",
        '"Ink is patience," the old man said, and ground the soot',
        'again. "A line drawn in haste will look hasty for ever."',
        "She counted the bottles: 1, 2, 3 ... 48, 49, 50. All full.",
        "Outside, the first snow fell on the quiet water.",
    )
    for k, line in enumerate(text):
        write(pen, (28, 74 + 24 * k), line, 14.5, "#2a1f1a")
    for k, row in enumerate(
        (
            ("Pigment", "Source", "Price"),
            ("vermilion", "cinnabar", "38.50"),
            ("indigo", "leaves", "12.75"),
            ("lamp black", "soot", "4.20"),
        )
    ):
        for x, cell in zip((40, 180, 330), row, strict=True):
            write(pen, (x, 288 + 30 * k), cell, 17, "#7a2a20" if k == 0 else "#2a1f1a")
        pen.line(
            [28 * FINE, (313 + 30 * k) * FINE, 420 * FINE, (313 + 30 * k) * FINE], "#8c7a68", FINE
        )
    write(pen, (224, 424), "- 57 -", 14, "#2a1f1a", "mm")
    return image.reduce(FINE)


def subtitles() -> Image.Image:
    """Subtitles and a channel's mark over a drawing."""
    image = heroine().resize((SIDE * FINE, SIDE * FINE), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    write(pen, (224, 366), "You came back after all.", 30, "#ffffff", "mm", (2.5, "#101010"))
    write(pen, (224, 408), "Then help me find the others!", 30, "#ffe14a", "mm", (2.5, "#101010"))
    write(pen, (436, 14), "SKG-TV 21:04", 18, "#ffffff", "ra", (1, "#303030"))
    return image.reduce(FINE)
