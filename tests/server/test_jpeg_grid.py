"""Former JPEGs, found by their pixels alone."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest

from drawn import FEW, NAMES, drawing, psnr, resaved
from sakuga_server.jpeg import block_grid, redecode
from sakuga_server.jpeg.coefficients import luma_of
from slow import full, some


def find(pixels: np.ndarray) -> list[block_grid.Trace]:
    return block_grid.find(luma_of(pixels))


@pytest.mark.parametrize("name", some(NAMES, FEW))
def test_on_clean_drawings_nothing_is_found(name: str) -> None:
    assert find(drawing(name)) == []


def test_the_drawings_are_many() -> None:
    assert len(NAMES) >= 20


def damages() -> Iterator[object]:
    """Quality, subsampling and cut, and drawings; most of them take too long for every run."""
    in_every_run = [(10, "4:2:0", (3, 5)), (30, "4:4:4", (1, 0)), (50, "4:2:0", (0, 0))]
    in_every_run += [(75, "4:4:4", (3, 5)), (75, "4:2:0", (1, 0))]
    for each in in_every_run:
        yield (*each, FEW)
    for each in product((10, 30, 50, 75), ("4:4:4", "4:2:0"), ((0, 0), (3, 5), (1, 0))):
        yield full(*each, NAMES)


@pytest.mark.parametrize(("quality", "subsampling", "cut", "names"), damages())
def test_grid_and_quality_are_found_in_resaved_and_cut_pictures(
    quality: int, subsampling: str, cut: tuple[int, int], names: tuple[str, ...]
) -> None:
    grid = (-cut[0] % 8, -cut[1] % 8)
    missed = []
    for name in names:
        found = find(resaved(drawing(name), quality, subsampling, cut))
        if not found or found[0].grid != grid or abs(found[0].quality - quality) > 2:
            missed.append(name)
    assert len(missed) <= len(names) // 20, missed


def test_a_pasted_part_is_found_where_it_is() -> None:
    picture = drawing("sunset x2").copy()
    x, y, side = 203, 100, 384
    picture[y : y + side, x : x + side] = resaved(drawing("heroine x2")[300:684, 300:684], 30)
    (trace,) = find(picture)
    left, top, width, height = trace.box
    across = min(left + width, x + side) - max(left, x)
    down = min(top + height, y + side) - max(top, y)
    assert across * down > 0.6 * side * side
    assert trace.box[2:] != (picture.shape[1], picture.shape[0])
    assert trace.grid == (x % 8, y % 8)


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (16, 16), (40, 9)])
def test_tiny_pictures_hold_nothing(size: tuple[int, int]) -> None:
    assert find(np.zeros((*size, 3), np.uint8)) == []


@pytest.mark.parametrize(("subsampling", "cut"), [("4:4:4", (3, 5)), ("4:2:0", (5, 2))])
def test_decoding_anew_comes_nearer_to_the_original(subsampling: str, cut: tuple[int, int]) -> None:
    for name in ("heroine x1", "sunset x1", "hair over gradient"):
        original = drawing(name)
        damaged = resaved(original, 30, subsampling, cut)
        grid = (-cut[0] % 8, -cut[1] % 8)
        repaired = redecode.restored(damaged, grid, 30)
        original = original[cut[1] :, cut[0] :]
        assert psnr(repaired, original) > psnr(damaged, original) + 0.2


def test_chroma_is_repaired_whether_it_was_shrunk_or_not() -> None:
    original = drawing("sunset x1")
    for subsampling in ("4:4:4", "4:2:0"):
        damaged = resaved(original, 10, subsampling)
        repaired = redecode.restored(damaged, (0, 0), 10)
        errors = []
        for pixels in (damaged, repaired):
            difference = pixels.astype(np.float64) - original
            chroma = difference - luma_of_difference(difference)
            errors.append(float((chroma**2).mean()))
        assert errors[1] < 0.97 * errors[0]


def luma_of_difference(difference: np.ndarray) -> np.ndarray:
    return (difference @ np.array([0.299, 0.587, 0.114]))[..., None]


@pytest.mark.parametrize("name", ["mascot x1", full("lineart x2")])
def test_gray_pictures_stay_gray(name: str) -> None:
    gray = drawing(name)[..., 0]
    damaged = resaved(gray, 30)
    (trace,) = block_grid.find(luma_of(damaged))
    repaired = redecode.restored(damaged, trace.grid, trace.quality)
    assert repaired.shape == gray.shape
    assert psnr(repaired, gray) > psnr(damaged, gray)
