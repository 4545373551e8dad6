"""Gradients in too few levels."""

import numpy as np
import pytest

from drawn import FEW, NAMES, drawing, posterised, psnr, ramp
from sakuga_server.damage import banding
from slow import full, some

RAMPS = range(10)


def found(pixels: np.ndarray) -> list[tuple[tuple[int, int, int, int], float]]:
    return banding.boxes(banding.find(pixels))


@pytest.mark.parametrize("name", some(NAMES, FEW))
def test_on_clean_drawings_nothing_is_found(name: str) -> None:
    assert found(drawing(name)) == []


def test_smooth_gradients_of_8_and_16_bits_are_no_bands() -> None:
    for seed in RAMPS:
        assert found(ramp(seed)) == []
        assert found(ramp(seed).astype(np.uint16) * 257) == []


@pytest.mark.parametrize(
    ("step", "seeds"), [(8, RAMPS[:3]), *(full(step, RAMPS) for step in (4, 8, 16))]
)
def test_posterised_gradients_are_found_and_come_nearer_to_the_original(
    step: int, seeds: range
) -> None:
    hits = 0
    for seed in seeds:
        original = ramp(seed, 200, 270)
        damaged = posterised(original, step)
        hits += bool(found(damaged))
        repaired = banding.smoothed(damaged, banding.find(damaged))
        assert psnr(repaired, original) > psnr(damaged, original) + 1
    assert hits >= 0.9 * len(seeds)


def test_of_any_depth_and_kind() -> None:
    original = ramp(0)
    deep = posterised(original, 16).astype(np.uint16) * 257
    repaired = banding.smoothed(deep, banding.find(deep))
    assert repaired.dtype == np.uint16
    assert psnr(repaired / 257, original) > psnr(deep / 257, original) + 5
    gray = posterised(original, 8)[..., 0]
    assert found(gray)
    assert banding.smoothed(gray, banding.find(gray)).shape == gray.shape


def test_no_sample_moves_by_more_than_half_a_step_and_others_not_at_all() -> None:
    damaged = posterised(ramp(3), 16)
    damaged[100:140, 150:250] = drawing("heroine x1")[200:240, 100:200]
    stairs = banding.find(damaged)
    moved = np.abs(banding.smoothed(damaged, stairs).astype(int) - damaged)
    assert (moved <= stairs.steps / 2).all()
    assert moved.max() > 4


def test_cel_shading_hard_edges_and_a_chessboard_are_no_bands() -> None:
    y, x = np.mgrid[0:256, 0:320]
    tones = np.array([250, 190, 120], np.uint8)[np.clip((x + y // 2) // 120, 0, 2)]
    edges = np.array([20, 60, 100, 140, 180, 220], np.uint8)[np.clip(x // 2 - 60, 0, 5)]
    chess = (((x // 24 + y // 24) % 2) * 40 + 100).astype(np.uint8)
    for gray in (tones, edges, chess):
        assert found(np.dstack((gray,) * 3)) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 2)])
def test_any_size_goes_through(size: tuple[int, int]) -> None:
    pixels = np.zeros((*size, 3), np.uint8)
    assert np.array_equal(banding.smoothed(pixels, banding.find(pixels)), pixels)
