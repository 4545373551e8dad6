"""The benchmark of quality: its drawings, and a row for every way to upscale."""

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from networks_for_tests import PROJECT
from sakuga_core.networks.ncnn_families import FAMILIES
from sakuga_core.networks.registry import MEMBERS, UPSCALERS, by_name
from sakuga_export.output import ONNX
from sakuga_server.networks import Tile
from slow import some

sys.path.append(str(PROJECT / "benchmarks"))

import quality
import quality_report
from gallery import BY_KIND, DRAWINGS, common, pixel_art
from quality_measures import EXACT

BY_NAME = {drawing.name: drawing for drawing in DRAWINGS}
# Of each kind one that is drawn in a second or two.
QUICK = ["swordsman", "witch", "storm", "space", "dialogue", "town"]
TINY = [BY_NAME["village"], BY_NAME["menu"]]
MAIN = [name for name, each in quality.INPUTS.items() if not each.is_check]
METHODS = [
    *quality.FILTERS,
    quality.Method("realesr-animevideov3", {"model": "realesr-animevideov3"}),
    quality.of_family("waifu2x-cunet", "0", quality.INPUTS),
    quality.of_family("realcugan-pro", "3", [quality.WORST]),
]


async def blocks(model: str, tile: Tile) -> np.ndarray:
    """A network of arithmetic: each pixel as often as its scale says."""
    scale = by_name(model).scale  # type: ignore[attr-defined]
    return tile.pixels.repeat(scale, axis=1).repeat(scale, axis=2)


@pytest.fixture(scope="module")
def rows() -> list[quality_report.Row]:
    return list(quality.rows(quality.cases(TINY), METHODS, blocks, {}))


def of(rows: list[quality_report.Row], method: str, scale: int, name: str) -> dict[str, float]:
    """PSNR by picture."""
    return {
        row.picture: row.figures.psnr
        for row in rows
        if (row.method, row.scale, row.input) == (method, scale, name)
    }


def test_there_are_four_drawings_of_each_kind() -> None:
    assert {kind: len(draws) for kind, draws in BY_KIND.items()} == dict.fromkeys(
        ("line art", "cel", "painted", "pixel art", "text", "screentone"), 4
    )
    assert len(BY_NAME) == len(DRAWINGS) == 24


@pytest.mark.parametrize("name", some(BY_NAME, QUICK))
def test_a_drawing_is_always_the_same(name: str) -> None:
    first, second = (np.asarray(BY_NAME[name].draw()) for _ in range(2))
    assert first.shape == (common.SIDE, common.SIDE, 3)
    assert np.array_equal(first, second)
    assert first.std() > 20  # there is something on it


@pytest.mark.parametrize("name", ["platform", "village", "space"])
def test_pixel_art_is_of_whole_squares(name: str) -> None:
    pixels, size = np.asarray(BY_NAME[name].draw()), pixel_art.PIXEL
    small = pixels[::size, ::size]
    assert np.array_equal(pixels, small.repeat(size, axis=0).repeat(size, axis=1))


def test_inputs_are_halves_and_quarters_of_the_truth() -> None:
    for case in quality.cases(TINY):
        height, width = quality.pixels_of(case.data).shape[:2]
        assert (height * case.scale, width * case.scale, 3) == case.truth.shape
        is_png = quality.INPUTS[case.input].quality is None
        assert case.data.startswith(b"\x89PNG" if is_png else b"\xff\xd8")


def test_figures_are_those_of_the_results(rows: list[quality_report.Row]) -> None:
    exact = of(rows, "nearest", 4, "clean")
    assert exact["village"] == pytest.approx(EXACT, abs=0.01)
    assert exact["menu"] < 30
    for method in ("realesr-animevideov3", "waifu2x-cunet"):
        assert of(rows, method, 4, "clean") == pytest.approx(exact)
    assert max(of(rows, "Lanczos", 4, "clean").values()) < 30
    for name in ("menu", "village"):
        by_input = [of(rows, "nearest", 4, each)[name] for each in MAIN]
        assert by_input == sorted(by_input, reverse=True)


def test_tables_have_a_row_for_each_method(rows: list[quality_report.Row], tmp_path: Path) -> None:
    quality.write(rows, ["some-network: not exported"], tmp_path)
    text = (tmp_path / "quality.md").read_text()
    tables = dict(part.split("\n", 1) for part in text.split("\n## ")[1:])
    sections = [*product(quality.SCALES, MAIN), *((2, n) for n in quality.INPUTS if n not in MAIN)]
    for scale, name in sections:
        lines = tables[f"{scale}x, {name}"].splitlines()
        found = [line.split(" | ")[0].strip("| ") for line in lines if line.startswith("| ")]
        assert found[1:] == [each.name for each in METHODS if name in each.inputs]
    assert len(tables) == len(sections) + 1  # and the time
    assert "| waifu2x-cunet-2x-denoise0, 2 passes |" in text
    assert "Left out: some-network: not exported." in text


def test_means_leave_pixel_art_out(rows: list[quality_report.Row]) -> None:
    found = {(each.method, each.kind): each for each in quality_report.averages(rows)}
    every = found["nearest", quality_report.ALL]
    assert every.pictures == 1
    assert every.psnr == found["nearest", "text"].psnr


def test_networks_that_are_not_exported_are_named(tmp_path: Path) -> None:
    found, left_out = quality.methods(tmp_path, slow=False)
    assert found == list(quality.FILTERS)
    names = {each.partition(":")[0] for each in left_out}
    assert names >= {row.name for row in UPSCALERS} | {family.name for family in FAMILIES}


def test_every_exported_network_is_measured(tmp_path: Path) -> None:
    for row in (*UPSCALERS, *MEMBERS):
        folder = tmp_path / row.folder / "1"
        folder.mkdir(parents=True)
        (folder / ONNX).touch()
    found = {method.name: method for method in quality.methods(tmp_path, slow=True)[0]}
    assert found.keys() >= {row.name for row in UPSCALERS}
    for family in FAMILIES:
        assert set(found[family.name].inputs) == set(quality.INPUTS)
        assert found[f"{family.name}, denoise 3"].inputs == (quality.WORST,)


def test_the_sheet_has_a_line_for_each_of_its_cases() -> None:
    shown: quality.Crops = {}
    cases = quality.cases([BY_NAME["menu"]])
    list(quality.rows(cases, quality.FILTERS, blocks, shown))
    sheet = quality_report.contact_sheet(cases, shown)
    lines = [key for key in quality_report.SHEET_CASES if key[2] == "menu"]
    line = quality_report.SHOWN + quality_report.NAME + quality_report.GAP
    assert sheet.height == quality_report.HEAD + len(lines) * line
    assert sheet.width <= 1600
