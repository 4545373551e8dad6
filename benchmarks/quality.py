"""What the super-resolution networks make of drawn pictures, against what was drawn.

`python benchmarks/quality.py [--all]`; about twenty-five minutes on two cores. Every picture is
drawn, shrunk, and upscaled to its size again. --all takes the slow networks, too: hours.
"""

import asyncio
import io
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from gallery import DRAWINGS, Drawing
from measure import RESULTS, machine, store
from PIL import Image
from quality_measures import figures
from quality_report import SHEET_CASES, Row, averages, contact_sheet, tables

from networks_for_tests import PROJECT
from pictures import encoded, pixels_of
from sakuga import Config
from sakuga_core.networks.families import Enhancer, Upscaler
from sakuga_core.networks.ncnn_families import FAMILIES
from sakuga_core.networks.registry import ENHANCERS, MEMBERS, UPSCALERS, by_name
from sakuga_export.output import ONNX
from sakuga_server.backends import engines
from sakuga_server.imaging.picture import Array
from sakuga_server.networks import Net, Tile
from sakuga_server.pipelines.settings import UpscaleSettings
from sakuga_server.pipelines.upscale import Upscale

SCALES = (2, 4)
WORST = "JPEG 30"  # of which families are asked to remove most
SLOW = ("realesrgan-x4plus", "aura-sr-v2")
SHEET = PROJECT / "docs" / "quality.png"
NOTES = [
    "24 pictures of 448², four of each kind, drawn by code ([gallery](../gallery)) and shrunk to a "
    "half or a quarter by averaging blocks (Pillow's BOX filter). `bicubic` and `Lanczos` are "
    "checks with other filters, on one picture of each kind but pixel art, at 2x.",
    "JPEG files are saved by Pillow at that quality, with its other defaults: 4:2:0.",
    "PSNR, SSIM, MS-SSIM and GMSD are means over the pictures of all kinds but pixel art, by piq, "
    "over red, green and blue; SSIM at full size. Of GMSD less is better, of the others more. The "
    "columns of kinds are means of PSNR, in dB. The best of a column is bold, of GMSD without "
    "`nearest`, which GMSD can't tell from the truth at 2x: it averages 2×2 pixels first.",
    "Pixel art is shown apart, since its truth is what `nearest` gives of a clean input: `exact`.",
    "Networks run by the server's pipeline, from file to file, each picture as one tile, in "
    "float32; on CPUs with bfloat16 the server takes that, and GPUs float16, which differ [far "
    "less](precision.md) than networks do from each other.",
    "Families are asked for a scale and take the network that fits, at their usual denoise level: "
    "0 of waifu2x, `conservative` of Real-CUGAN. waifu2x has 2x alone, so 4x is two passes; "
    "realcugan-pro has no 4x, so that is two passes of 3x, of which the first is shrunk.",
    "The other networks know 4x alone; at 2x the pipeline shrinks their results.",
    "Time is the median of clean inputs, once compiled, in seconds of processor time, all cores "
    "together: other work on the machine hardly changes it. A fixed part of each request, such as "
    "encoding, weighs more in pictures as small as these.",
    "Memory is in [memory.md](memory.md) and [families.md](families.md).",
]


@dataclass(frozen=True)
class Input:
    """How a drawing becomes a file."""

    quality: int | None = None
    """Of JPEG; None: PNG."""
    shrink: Image.Resampling = Image.Resampling.BOX
    is_check: bool = False
    """Whether it is made of CHECKED at 2x alone."""


INPUTS: Mapping[str, Input] = {
    "clean": Input(),
    "JPEG 75": Input(75),
    "JPEG 30": Input(30),
    "clean, bicubic": Input(shrink=Image.Resampling.BICUBIC, is_check=True),
    "clean, Lanczos": Input(shrink=Image.Resampling.LANCZOS, is_check=True),
}
CHECKED = ("fox_girl", "heroine", "portrait", "menu", "clash")


@dataclass(frozen=True)
class Method:
    """A way to upscale: a network's options, or a filter of Pillow."""

    name: str
    options: Mapping[str, Any] | None = None
    resampling: Image.Resampling = Image.Resampling.NEAREST
    inputs: tuple[str, ...] = tuple(INPUTS)


@dataclass(frozen=True)
class Case:
    """A file to upscale, and what it should become."""

    scale: int
    input: str
    drawing: Drawing
    data: bytes
    truth: Array


FILTERS = (Method("nearest"), Method("Lanczos", resampling=Image.Resampling.LANCZOS))


def methods(repository: Path, slow: bool) -> tuple[list[Method], list[str]]:
    """The filters and what is exported; and why of the others each is left out."""
    found, left_out = list(FILTERS), []
    for row in (*UPSCALERS, *ENHANCERS):
        if row.name in SLOW and not slow:
            left_out.append(f"{row.name}: very slow; --all takes it, too")
        elif not is_exported(repository, row.name):
            left_out.append(f"{row.name}: not exported")
        else:
            found.append(Method(row.name, {"model": row.name}))
    for name, usual in ((family.name, family.usual) for family in FAMILIES):
        for method in (of_family(name, usual, INPUTS), of_family(name, "3", (WORST,))):
            if all(is_exported(repository, member) for member in members(name, method)):
                found.append(method)
            else:
                left_out.append(f"{method.name}: not exported")
    return found, left_out


def of_family(name: str, level: str, inputs: Iterable[str]) -> Method:
    called = f"{name}, denoise {level}" if level.isdecimal() and level != "0" else name
    options = {"model": name, "denoise_level": level}
    return Method(called, options, inputs=tuple(inputs))


def members(name: str, method: Method) -> list[str]:
    """The networks that a family has at a method's denoise level."""
    assert method.options
    level = method.options["denoise_level"]
    rows = [row for row in MEMBERS if row.family == name and row.scale > 1]
    return [row.name for row in rows if row.denoise_level == level]


def is_exported(repository: Path, name: str) -> bool:
    return (repository / by_name(name).folder / "1" / ONNX).exists()


class Engines:
    """The networks of a repository, each in the engine that the embedded server takes."""

    def __init__(self, repository: Path) -> None:
        self.repository = repository
        self.engine = cache(self._engine)

    def _engine(self, model: str) -> engines.Engine:
        file = self.repository / by_name(model).folder / "1" / ONNX
        return engines.engine(file, engines.EngineOptions(), print)

    async def __call__(self, model: str, tile: Tile) -> Array:
        return np.array(self.engine(model)([tile.output], tile.inputs)[tile.output])


def pipeline(net: Net) -> Upscale:
    config = Config()
    rows: tuple[Upscaler | Enhancer, ...] = (*UPSCALERS, *MEMBERS, *ENHANCERS)
    networks = {row.name: row.facts for row in rows}
    defaults = config.options_for("upscale")
    return Upscale(net, UpscaleSettings(networks=networks, defaults=defaults, limits=config.limits))


def cases(drawings: Iterable[Drawing]) -> list[Case]:
    found = []
    for drawing in drawings:
        image = drawing.draw()
        for scale, name in product(SCALES, INPUTS):
            if not INPUTS[name].is_check or (scale == 2 and drawing.name in CHECKED):
                data = file_of(image, scale, INPUTS[name])
                found.append(Case(scale, name, drawing, data, np.asarray(image)))
    return found


def file_of(image: Image.Image, scale: int, how: Input) -> bytes:
    """A drawing, made smaller by the scale."""
    small = np.asarray(image.resize((image.width // scale, image.height // scale), how.shrink))
    return encoded(small) if how.quality is None else encoded(small, "JPEG", quality=how.quality)


def upscaled(method: Method, case: Case, upscale: Upscale) -> tuple[Array, Mapping[str, Any]]:
    """The result, RGB, and the pipeline's report."""
    if method.options is None:
        image = Image.open(io.BytesIO(case.data))
        size = (image.width * case.scale, image.height * case.scale)
        return np.asarray(image.resize(size, method.resampling)), {}
    options = {**method.options, "scale": case.scale, "format": "png"}
    data, report = asyncio.run(upscale(case.data, options))
    pixels = pixels_of(data)
    return (np.dstack([pixels] * 3) if pixels.ndim == 2 else pixels), report


Crops = dict[tuple[int, str, str, str], Array]
"""Results by scale, input, picture and method."""


def rows(found: list[Case], listed: Iterable[Method], net: Net, shown: Crops) -> Iterator[Row]:
    """Every method on every input; results that the contact sheet shows go to `shown`."""
    for method in listed:
        upscale = pipeline(net)
        for case in (each for each in found if each.input in method.inputs):
            began = time.process_time()
            pixels, report = upscaled(method, case, upscale)
            took = time.process_time() - began
            key = (case.scale, case.input, case.drawing.name)
            if key in SHEET_CASES:
                shown[(*key, method.name)] = pixels
            megapixels = case.truth.shape[0] * case.truth.shape[1] / case.scale**2 / 1e6
            yield Row(
                method.name,
                *key,
                case.drawing.kind,
                figures(pixels, case.truth),
                took / megapixels,
                report.get("network", ""),
                len(report.get("passes", [1])),
            )
        print(method.name, flush=True)


def write(found: list[Row], left_out: list[str], folder: Path = RESULTS) -> None:
    notes = [*NOTES, *(f"Left out: {each}." for each in left_out)]
    data = {"rows": [asdict(each) for each in averages(found)], "left_out": left_out}
    title = "Quality of the super-resolution networks"
    table, about = tables(found), machine() | {"piq": version("piq")}
    store("quality", title, data, table, notes, about, folder)


def main(slow: bool) -> None:
    repository = Config().server.repository
    listed, left_out = methods(repository, slow)
    print(*(f"Left out: {each}" for each in left_out), sep="\n", flush=True)
    drawn, shown = cases(DRAWINGS), Crops()
    found = list(rows(drawn, listed, Engines(repository), shown))
    write(found, left_out)
    contact_sheet(drawn, shown).save(SHEET, optimize=True)


if __name__ == "__main__":
    main("--all" in sys.argv)
