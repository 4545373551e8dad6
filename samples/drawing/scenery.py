"""Scenery: an evening sea with a gate in the water, and the clouds that other pictures share."""

from __future__ import annotations

import numpy as np
from PIL import Image

# Local modules: their group depends on where the import sorter is run from.
# isort: split
from brush import Canvas, Points, contour, ink, oval, path, spindle

HORIZON = 182
SUN = (292.0, 162.0)
DUSK = "#231a45"
DAY_CLOUD = ("#c4dcf5", "#e9f4fd", "#ffffff")
EVENING_CLOUD = ("#9c659f", "#e58f98", "#ffb79d")
FAR_CLOUD = ("#c96f96", "#f79f88", "#ffc08f")


GIRL = (
    "-4,2! -3,-16 -4,-22! 0,-22! 0,-8 -1,2!|1,2! 2,-16 2,-22! 6,-22! 5,-8 4,2!"
    "|-4,-36! -8,-26 -12,-19! -2,-17 10,-18! 7,-28 5,-36!"
    "|-5,-50! -6,-42 -4,-34! 5,-34! 6,-42 5,-50!"
    "|-6,-49! -9,-40 -9,-31! -7,-31! -5,-40!|5,-49! 8,-42 10,-34! 8,-33! 5,-40!"
    "|-6,-60 -5,-66 0,-68 6,-66 7,-60 5,-54 0,-52 -4,-54"
    "|4,-67! -5,-69 -9,-62 -10,-54 -18,-46 -30,-42! -18,-42 -12,-38 -24,-33! -10,-34 -4,-40 2,-48!"
)


def cloud(
    c: Canvas,
    rng: np.random.Generator,
    place: tuple[float, float],
    spread: tuple[float, float],
    tones: tuple[str, str, str] = DAY_CLOUD,
    lean: tuple[float, float] = (0.22, 0.32),
) -> None:
    """A heap of puffs on a flat base, painted from the back; each has its own shaded rim."""
    (x, y), (w, h) = place, spread
    u = rng.uniform(-1, 1, 90)
    tall = (1 - np.abs(u) ** 1.5) * rng.uniform(0.0, 1.0, 90) ** 0.8
    tall *= 0.75 + 0.25 * np.sin(u * 7 + x)
    size = rng.uniform(0.06, 0.15, 90) * (1.3 - 0.5 * tall) * h + 0.02 * w
    away = np.array(lean)
    heap = sorted(zip(tall, x + u * w, y - tall * h, size, strict=True), reverse=True)
    c.paint([oval(x, y, w * 0.95, h * 0.2), oval(x, y - 0.3 * h, w * 0.5, h * 0.35)], tones[0])
    for high, px, py, r in heap:
        # The foot of the cloud lies in its own shade: only the heap above it is lit.
        c.fill(oval(px, py, r), tones[0] if high < 0.3 else tones[1])
        if high >= 0.2:
            dx, dy = -away * r * 0.5
            c.fill(oval(px + dx, py + dy, r * 0.8), tones[2] if high >= 0.3 else tones[1])


def sunset(size: float = 1.0) -> Image.Image:
    canvas = Canvas(480, 270, size, "#000000")
    sky(canvas)
    mountains(canvas)
    sea(canvas)
    gate(canvas)
    shore(canvas)
    wires(canvas)
    return canvas.finish().convert("RGB")


def sky(c: Canvas) -> None:
    stops = [
        (0, "#2c2a6b"),
        (0.25, "#5b4397"),
        (0.5, "#b65a98"),
        (0.72, "#f28a6f"),
        (0.9, "#ffc978"),
        (1, "#ffe9a8"),
    ]
    c.gradient(stops, (0, 0), (0, HORIZON))
    rng = np.random.default_rng(11)
    for x, y, r in rng.uniform((0, 0, 0.35), (480, 70, 0.95), (60, 3)):
        c.fill(oval(x, y, r * (1 - y / 110)), "#ffffffcc")
    c.glow(
        *SUN, 170, [(0, "#fff3c0ff"), (0.16, "#ffe39ac8"), (0.45, "#ffb27a50"), (1, "#ff9a7000")]
    )
    c.fill(oval(*SUN, 22), "#fffbe6")
    streaks(c, rng)
    cloud(c, rng, (70, 150), (120, 96), EVENING_CLOUD, (-0.34, 0.05))
    cloud(c, rng, (455, 160), (90, 56), EVENING_CLOUD, (0.34, 0.0))
    cloud(c, rng, (195, 168), (60, 20), FAR_CLOUD, (-0.3, 0.1))
    cloud(c, rng, (370, 172), (50, 14), FAR_CLOUD, (0.3, 0.1))


def streaks(c: Canvas, rng: np.random.Generator) -> None:
    """High thin cloud lit from below, and a vapour trail."""
    for _ in range(26):
        x, y = rng.uniform(60, 470), rng.uniform(34, 128)
        long = rng.uniform(30, 110)
        line = path(f"{x - long},{y + 4} {x},{y} {x + long},{y - 5}")
        c.fill(spindle(line, rng.uniform(1.2, 4.5), 0.5), "#ff9fa066")
        c.fill(spindle(line + np.array([0, 1.2]), rng.uniform(0.6, 1.8), 0.5), "#ffd0a888")
    c.stroke(path("300,0 352,34 396,62"), "#ffe4d8cc", 1.6, "out")


def ridge(rng: np.random.Generator, level: float, rough: float) -> Points:
    """A wooded skyline closed at the bottom."""
    x = np.linspace(-5, 485, 197)
    y = level + rough * (2.2 * np.sin(x / 67 + level) + np.sin(x / 23 + 2 * level))
    y += rng.normal(0, rough * 0.16, x.size)
    return np.vstack([np.stack([x, y], axis=1), [[485, HORIZON + 2], [-5, HORIZON + 2]]])


def mountains(c: Canvas) -> None:
    """A snow-capped cone and, before it, ridges that darken as they come nearer."""
    cone = path("20,184! 84,160 118,128 140,99 147,96 156,97 163,99 186,129 220,160 290,184!", True)
    inside = c.region(cone)
    c.fill(cone, "#6a4a8a")
    c.fill(
        path("152,94! 158,120 150,140 166,160 160,186! 10,190! 120,90!", True), "#523c79", inside
    )
    snow = path(
        "100,90! 124,124! 130,118 134,130! 140,120 146,136! 151,122 157,132! 164,119 172,133!"
        " 178,122 190,130! 190,80!",
        True,
    )
    c.fill(snow, "#ffd9cf", inside)
    left = path("152,92! 156,110 150,118 152,140! 110,140! 120,90!", True)
    both = c.region(snow)
    both.paste(0, mask=Image.eval(inside, lambda v: 255 - v))
    c.fill(left, "#b58fc0", both)
    rng = np.random.default_rng(4)
    for level, rough, tone in ((175, 2.0, "#6a4480"), (179, 1.2, "#4a336c")):
        c.fill(ridge(rng, level, rough), tone)
    for x in np.arange(386, 476, 2.4):
        c.fill(oval(x, 178 + rng.uniform(0, 3), 0.5), "#ffe08a")


def sea(c: Canvas) -> None:
    water = path(f"0,{HORIZON}! 480,{HORIZON}! 480,270! 0,270!", True)
    stops = [(0, "#ffcf8e"), (0.12, "#ee9078"), (0.4, "#a85a92"), (1, "#352c6c")]
    c.gradient(stops, (0, HORIZON), (0, 262), c.region(water))
    rng = np.random.default_rng(21)
    for y in np.arange(HORIZON + 1.5, 268, 1.5):
        near = (y - HORIZON) / 88
        for _ in range(5):
            x, long = rng.uniform(0, 480), rng.uniform(4, 16) * (0.5 + 1.6 * near)
            tone = rng.choice(["#ffffff22", "#ffc2a044", "#2a256055"])
            wave(c, x, y, long, 0.5 + 1.5 * near, str(tone))
        reach = 10 + 26 * near
        for _ in range(3):
            x = SUN[0] + rng.normal(0, 0.55) * reach
            wave(c, x, y, rng.uniform(3, 10) * (1 + near), 0.7 + 1.4 * near, "#fff1bfe6")


def wave(c: Canvas, x: float, y: float, long: float, thick: float, tone: str) -> None:
    bend = 0.06 * long
    c.fill(spindle(path(f"{x - long},{y} {x},{y + bend} {x + long},{y}"), thick, 0.5), tone)


def gate(c: Canvas) -> None:
    """A torii standing in the shallows, and its broken reflection."""
    red, dark, edge = "#b3354a", "#6d2148", "#3a1238"
    with c.frame(398, 214):
        parts = (
            "-31,2! -27,-72! -20,-72! -23,2!",
            "31,2! 27,-72! 20,-72! 23,2!",
            "-40,-58! 40,-58! 40,-52! -40,-52!",
            "-4,-68! 4,-68! 4,-58! -4,-58!",
            "-44,-80! -20,-76 20,-76 44,-80! 42,-68! 20,-70 -20,-70 -42,-68!",
            "-52,-90! -24,-83 24,-83 52,-90! 50,-80! 24,-76 -24,-76 -50,-80!",
        )
        for text in parts:
            part = path(text, True)
            c.fill(part, red)
            c.fill(part + np.array([2.6, 2.4]), dark, c.region(part))
            c.paint(contour(part, 1.1), edge)
        c.fill(path("-52,-90! -24,-83 24,-83 52,-90! 51,-86! 24,-80 -24,-80 -51,-86!", True), edge)
        rng = np.random.default_rng(9)
        for y in np.arange(3, 52, 2.2):
            for x in (-26, 26):
                wave(c, x + rng.uniform(-2, 2), y, rng.uniform(3, 7), 1.9, "#4a1c4ecc")
            if 30 < y < 44:
                wave(c, rng.uniform(-20, 20), y, rng.uniform(14, 30), 2, "#4a1c4eaa")


def shore(c: Canvas) -> None:
    """A dark grassy bank with a girl on it, looking out."""
    bank = path("0,214! 40,212 90,220 150,236 210,252 262,270! 0,270!", True)
    c.fill(bank, DUSK)
    rng = np.random.default_rng(2)
    for x in np.arange(0, 262, 1.7):
        y = float(np.interp(x, [0, 40, 90, 150, 210, 262], [214, 212, 220, 236, 252, 270]))
        tall, bend = rng.uniform(3, 9), rng.uniform(-1, 6)
        c.fill(
            spindle(
                path(f"{x},{y + 4} {x + bend / 3},{y - tall / 2} {x + bend},{y - tall}"), 1.6, 0.2
            ),
            DUSK,
        )
    with c.frame(120, 229, 1.0):
        girl(c)


def girl(c: Canvas) -> None:
    """Legs, skirt, back, arms, head and hair in black, with the sun along one edge."""
    for text in GIRL.split("|"):
        c.fill(path(text, True), DUSK)
    c.stroke(path("6,-64 7.5,-58 6,-50 8,-42 10,-34"), "#ffb98a", 1.1)
    c.stroke(path("7,-28 10,-18"), "#ffb98a", 1.0)


def wires(c: Canvas) -> None:
    """A telegraph pole and its wires: the finest lines of the picture."""
    c.fill(path("37,20! 42,20! 44,216! 36,216!", True), DUSK)
    for y, w in ((32, 22), (46, 18)):
        c.fill(path(f"{39 - w},{y}! {39 + w},{y - 3}! {39 + w},{y}! {39 - w},{y + 3}!", True), DUSK)
        for x in (-w + 2, -w / 2, w / 2, w - 2):
            c.paint(ink(path(f"{39 + x},{y} {39 + x},{y - 6}"), 2.0, "none"), DUSK)
            c.stroke(
                path(f"{39 + x},{y - 6} {200 + x},{y + 14} {490},{y - 44 + x / 2}"),
                DUSK,
                0.8,
                "none",
            )
            c.stroke(path(f"{39 + x},{y - 6} {10 + x},{y - 4} -20,{y - 10}"), DUSK, 0.8, "none")
    c.fill(oval(47, 64, 5, 9), DUSK)
    for x, y, s in ((236, 96, 1.0), (252, 88, 0.8), (262, 102, 0.7), (226, 84, 0.6)):
        with c.frame(x, y, s):
            c.stroke(path("-7,-3 -3,-4 0,0"), DUSK, 1.5, "in")
            c.stroke(path("7,-4 3,-5 0,0"), DUSK, 1.5, "in")
