"""What `quality.py` found, as tables and as a contact sheet."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import numpy as np
from gallery import BY_KIND, Drawing
from PIL import Image, ImageDraw, ImageFont
from quality_measures import EXACT, Figures

from sakuga_server.imaging.picture import Array

APART = "pixel art"  # not in the means over all kinds: its truth is what `nearest` gives
ALL = "all but pixel art"
DIGITS = {"psnr": 2, "ssim": 4, "ms_ssim": 4, "gmsd": 4}
TITLES = {"psnr": "PSNR", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "gmsd": "GMSD"}
LESS_IS_BETTER = ("gmsd",)
BLIND = ("gmsd", "nearest")  # it averages 2×2 first, so at 2x it can't tell this from the truth


@dataclass(frozen=True)
class Row:
    """One picture, upscaled in one way."""

    method: str
    scale: int
    input: str
    picture: str
    kind: str
    figures: Figures
    core_seconds: float
    """For a megapixel of the input, added up over cores."""
    network: str = ""
    """Of a family, that which was chosen."""
    passes: int = 1


@dataclass(frozen=True)
class Average:
    """One way to upscale, over the pictures of a kind."""

    method: str
    scale: int
    input: str
    kind: str
    pictures: int
    psnr: float
    ssim: float
    ms_ssim: float
    gmsd: float
    core_seconds: float
    """The median."""
    network: str
    passes: int


def averages(rows: Sequence[Row]) -> list[Average]:
    """By method, scale, input and kind, and over all kinds but pixel art."""
    groups: dict[tuple[str, int, str, str], list[Row]] = {}
    for row in rows:
        for kind in (row.kind, *((ALL,) if row.kind != APART else ())):
            groups.setdefault((row.method, row.scale, row.input, kind), []).append(row)
    return [_average(key, group) for key, group in groups.items()]


def _average(key: tuple[str, int, str, str], rows: list[Row]) -> Average:
    found = {
        name: round(statistics.mean(getattr(row.figures, name) for row in rows), digits)
        for name, digits in DIGITS.items()
    }
    return Average(
        *key,
        pictures=len(rows),
        **found,
        core_seconds=round(statistics.median(row.core_seconds for row in rows), 2),
        network=rows[0].network,
        passes=rows[0].passes,
    )


def tables(rows: Sequence[Row]) -> Iterator[str]:
    """Markdown: one table for each scale and input, and one of what they cost."""
    found = averages(rows)
    scales = sorted({row.scale for row in rows})
    for scale, name in product(scales, dict.fromkeys(row.input for row in rows)):
        if of := [each for each in found if (each.scale, each.input) == (scale, name)]:
            yield f"## {scale}x, {name}\n"
            yield from _table(of)
            yield ""
    yield "## Core seconds for a megapixel of the input\n"
    yield from _costs([e for e in found if (e.input, e.kind) == ("clean", ALL)], scales)


def _table(found: list[Average]) -> Iterator[str]:
    kinds = [kind for kind in BY_KIND if any(each.kind == kind for each in found)]
    yield f"| method | {' | '.join([*TITLES.values(), *kinds])} |"
    yield "|---" * (1 + len(TITLES) + len(kinds)) + "|"
    columns = [(name, ALL) for name in TITLES] + [("psnr", kind) for kind in kinds]
    cells = [_column(found, name, kind) for name, kind in columns]
    for method in dict.fromkeys(each.method for each in found):
        yield f"| {method} | {' | '.join(cell.get(method, '') for cell in cells)} |"


def _column(found: list[Average], name: str, kind: str) -> dict[str, str]:
    """The values of a figure by method, the best of them bold."""
    values = {each.method: getattr(each, name) for each in found if each.kind == kind}
    pick: Callable[[Iterable[float]], float] = min if name in LESS_IS_BETTER else max
    judged = [value for method, value in values.items() if (name, method) != BLIND]
    best = pick(judged) if judged else None
    texts = {method: _text(value, name) for method, value in values.items()}
    return {m: f"**{text}**" if values[m] == best else text for m, text in texts.items()}


def _text(value: float, name: str) -> str:
    return "exact" if name == "psnr" and value >= EXACT - 0.01 else f"{value:.{DIGITS[name]}f}"


def _costs(found: list[Average], scales: list[int]) -> Iterator[str]:
    titles = [f"{scale}x | network" for scale in scales]
    yield f"| method | {' | '.join(titles)} |"
    yield "|---" * (1 + 2 * len(scales)) + "|"
    for method in dict.fromkeys(each.method for each in found):
        cells = [next(e for e in found if (e.method, e.scale) == (method, s)) for s in scales]
        yield f"| {method} | {' | '.join(_cost(cell) for cell in cells)} |"


def _cost(cell: Average) -> str:
    passes = f", {cell.passes} passes" if cell.passes > 1 else ""
    return f"{cell.core_seconds:.1f} | {cell.network}{passes}"


# Pictures of the contact sheet, by scale, input and picture: left and top of what is shown.
SHEET_CASES: Mapping[tuple[int, str, str], tuple[int, int]] = {
    (4, "clean", "fox_girl"): (258, 248),
    (4, "clean", "heroine"): (104, 236),
    (4, "clean", "portrait"): (116, 188),
    (4, "clean", "bust"): (116, 208),
    (4, "clean", "menu"): (32, 96),
    (2, "clean", "menu"): (32, 96),
    (2, "clean", "clash"): (262, 64),
    (2, "JPEG 30", "witch"): (150, 226),
}
COLUMNS: Mapping[str, str] = {
    "Lanczos": "Lanczos",
    "realesrgan-x4plus-anime": "x4plus-anime",
    "realesr-animevideov3": "animevideov3",
    "waifu2x-cunet": "waifu2x-cunet",
    "waifu2x-upconv-anime": "upconv-anime",
    "realcugan-se": "realcugan-se",
    "realcugan-pro": "realcugan-pro",
}
CROP, SHOWN, HEAD, NAME, GAP = 74, 148, 26, 16, 2


class Shown(Protocol):
    """A file that was upscaled, and what it should have become."""

    @property
    def scale(self) -> int: ...
    @property
    def input(self) -> str: ...
    @property
    def drawing(self) -> Drawing: ...
    @property
    def truth(self) -> Array: ...


def contact_sheet(cases: Iterable[Shown], results: Mapping[tuple[Any, ...], Array]) -> Image.Image:
    """Crops: a line for each of SHEET_CASES, a column for each method.

    Args:
        results: by scale, input, picture and method.
    """
    truths = {(case.scale, case.input, case.drawing.name): case.truth for case in cases}
    lines = [key for key in SHEET_CASES if key in truths]
    titles = ["drawn", "input", *COLUMNS.values()]
    width, height = len(titles) * (SHOWN + GAP), HEAD + len(lines) * (SHOWN + NAME + GAP)
    image = Image.new("RGB", (width, height), "#ffffff")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(15)
    for k, title in enumerate(titles):
        pen.text((k * (SHOWN + GAP) + SHOWN / 2, HEAD / 2), title, "#222222", font, "mm")
    for k, key in enumerate(lines):
        top = HEAD + k * (SHOWN + NAME + GAP)
        pen.text((2, top), _caption(key), "#222222", ImageFont.load_default(12))
        for column, pixels in enumerate(_line(key, truths[key], results)):
            image.paste(_crop(pixels, SHEET_CASES[key]), (column * (SHOWN + GAP), top + NAME))
    return image


def _caption(key: tuple[int, str, str]) -> str:
    scale, name, picture = key
    level = "" if name == "clean" else "; families at denoise level 3"
    return f"{picture.replace('_', ' ')}, {scale}x, {name}{level}"


def _line(
    key: tuple[int, str, str], truth: Array, results: Mapping[tuple[Any, ...], Array]
) -> Iterator[Array]:
    yield truth
    yield results[(*key, "nearest")]
    for method in COLUMNS:
        usual = results.get((*key, method), np.full_like(truth, 255))
        yield results.get((*key, f"{method}, denoise 3"), usual)


def _crop(pixels: Array, place: tuple[int, int]) -> Image.Image:
    left, top = place
    part = Image.fromarray(pixels).crop((left, top, left + CROP, top + CROP))
    return part.resize((SHOWN, SHOWN), Image.Resampling.NEAREST)
