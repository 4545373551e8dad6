"""Tiles of networks of one size: what the layouts promise, on networks of arithmetic."""

import asyncio
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import reference
from networks_for_tests import SMALL_AURA
from pictures import encoded, encoded_16, gradient, off, pixels_of, sample
from sakuga_server.imaging import blending
from sakuga_server.networks import Tile
from sakuga_server.pipelines.settings import Settings
from sakuga_server.pipelines.upscale import Upscale

OVERLAPS = ("none", "window", "reference")
SIDE, SCALE = 64, 4
MODEL = {"model": "aura-sr-v2"}


@given(height=st.integers(1, 200), width=st.integers(1, 200), overlap=st.sampled_from(OVERLAPS))
def test_weights_sum_to_one_at_every_pixel(
    height: int, width: int, overlap: blending.Overlap
) -> None:
    layout = blending.layout(height, width, SIDE, SCALE, overlap)
    around = 2 * layout.margin
    total = np.zeros(((layout.height + around) * SCALE, (layout.width + around) * SCALE))
    for place in layout.places:
        rows, columns = (slice(at * SCALE, (at + SIDE) * SCALE) for at in (place.top, place.left))
        total[rows, columns] += place.weights
    start = layout.margin * SCALE
    inner = total[start : start + height * SCALE, start : start + width * SCALE]
    assert inner.shape == (height * SCALE, width * SCALE)
    assert np.allclose(inner, 1, atol=1e-6)


@given(height=st.integers(1, 200), width=st.integers(1, 200))
def test_tiles_lie_within_what_is_padded(height: int, width: int) -> None:
    for overlap in OVERLAPS:
        layout = blending.layout(height, width, SIDE, SCALE, overlap)
        padded = layout.padded(np.zeros((height, width, 3), np.uint8))
        for place in layout.places:
            assert layout.window(padded, place).shape == (SIDE, SIDE, 3)
        tops = [place.top for place in layout.places]
        assert tops == sorted(tops)


@pytest.mark.parametrize(("overlap", "tiles"), [("none", 16), ("window", 25), ("reference", 41)])
def test_tiles_of_256_by_256(overlap: blending.Overlap, tiles: int) -> None:
    assert len(blending.layout(256, 256, SIDE, SCALE, overlap).places) == tiles


async def nearest(model: str, tile: Tile) -> np.ndarray:
    """Each pixel four times; later tiles are ready sooner."""
    pixels = tile.pixels
    assert pixels.shape == (1, SIDE, SIDE, 6)
    await asyncio.sleep(float(pixels.ravel()[-1]) / 1e5)
    deep = pixels[..., :3].astype(np.int32) * 256 + pixels[..., 3:]
    return deep.repeat(SCALE, axis=1).repeat(SCALE, axis=2)


OPTIONS = ({}, {"overlapping_tiles": False}, {"overlap": "reference"})


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("size", [(1, 1), (1, 90), (32, 32), (37, 153), (64, 64), (150, 211)])
async def test_what_tiles_agree_on_comes_out_whole(
    settings: Settings, size: tuple[int, int], options: dict[str, object]
) -> None:
    pixels = gradient(*size)
    result, report = await Upscale(nearest, settings)(encoded(pixels), MODEL | options)
    assert off(pixels_of(result), pixels.repeat(SCALE, axis=0).repeat(SCALE, axis=1)) == 0
    assert report["tile_size"] == SIDE


@pytest.mark.parametrize("shape", [(70, 90), (70, 90, 3), (70, 90, 4)])
async def test_16_bits_go_through_whole(settings: Settings, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).integers(5000, 65536, shape, np.uint16)
    result, _ = await Upscale(nearest, settings)(encoded_16(pixels), MODEL)
    # Sums of floats: a 65535th at most.
    assert off(pixels_of(result), pixels.repeat(SCALE, axis=0).repeat(SCALE, axis=1)) <= 1


async def test_gray_and_alpha_stay(settings: Settings) -> None:
    upscale = Upscale(nearest, settings)
    gray, transparent = sample("lineart", (0, 0, 80, 70)), sample("mascot", (20, 60, 148, 160))
    result, report = await upscale(encoded(gray), MODEL)
    assert off(pixels_of(result), gray.repeat(SCALE, axis=0).repeat(SCALE, axis=1)) == 0
    assert report["output"]["mode"] == "gray 8 bit"
    result, _ = await upscale(encoded(transparent), MODEL)
    expected = transparent.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    assert off(pixels_of(result)[..., 3], expected[..., 3]) == 0


def of_its_own_colour(tile: np.ndarray) -> float:
    """What a network would give that fills each tile in one level, which its pixels decide."""
    return float(np.modf(tile.astype(np.float64).sum() / 255 * 0.37)[0])


async def disagreeing(model: str, tile: Tile) -> np.ndarray:
    level = of_its_own_colour(tile.pixels[..., :3])
    return np.full((1, SIDE * SCALE, SIDE * SCALE, 3), round(level * 65535), np.int32)


async def test_it_makes_no_difference_which_tile_is_ready_first(settings: Settings) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (200, 200, 3), np.uint8)
    results = []
    for seed in (None, 1, 2):
        delays = np.random.default_rng(seed)

        async def late(model: str, tile: Tile) -> np.ndarray:
            if seed:  # noqa: B023  # called within this turn of the loop alone
                await asyncio.sleep(delays.uniform(0, 0.02))  # noqa: B023
            return await disagreeing(model, tile)

        results.append((await Upscale(late, settings)(encoded(pixels), MODEL))[0])
    assert results[0] == results[1] == results[2]


def disagreeing_reference() -> object:
    """AuraSR's package with that network."""
    import torch

    class Upsampler:
        device = "cpu"

        def __call__(self, lowres_image: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
            levels = [of_its_own_colour((tile * 255).round().numpy()) for tile in lowres_image]
            large = torch.ones(len(levels), 3, SIDE * SCALE, SIDE * SCALE)
            return large * torch.tensor(levels).view(-1, 1, 1, 1)

    found = reference.aura_sr().AuraSR.__new__(reference.aura_sr().AuraSR)
    found.upsampler, found.input_image_size = Upsampler(), SMALL_AURA["input_image_size"]
    return found


def largest_step(pixels: np.ndarray) -> int:
    return max(int(np.abs(np.diff(pixels.astype(int), axis=axis)).max()) for axis in (0, 1))


async def test_disagreeing_tiles_leave_a_tenth_of_the_references_seams(settings: Settings) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (256, 256, 3), np.uint8)
    theirs = disagreeing_reference().upscale_4x_overlapped(Image.fromarray(pixels))  # type: ignore[attr-defined]
    upscale = Upscale(disagreeing, settings)
    ours, _ = await upscale(encoded(pixels), MODEL)
    same, _ = await upscale(encoded(pixels), MODEL | {"overlap": "reference"})
    assert largest_step(np.asarray(theirs)) > 50
    assert largest_step(pixels_of(ours)) <= largest_step(np.asarray(theirs)) / 10
    assert off(pixels_of(same), np.asarray(theirs)) <= 1


def test_no_overlap_is_disagreement_whole() -> None:
    layout = blending.layout(128, 128, SIDE, SCALE, "none")
    assert [(p.top, p.left) for p in layout.places] == list(product((0, 64), (0, 64)))
    assert all((place.weights == 1).all() for place in layout.places)


async def test_options_that_the_configuration_sets_for_all_are_not(settings: Settings) -> None:
    usual = settings.model_copy(update={"defaults": {**settings.defaults, "denoise_strength": 0.7}})
    upscale = Upscale(nearest, usual)
    _, report = await upscale(encoded(gradient(9, 9)), MODEL | {"denoise_strength": 0.7})
    assert report["notes"] == []


async def test_options_that_have_no_effect_are_noted(settings: Settings) -> None:
    upscale = Upscale(nearest, settings)
    _, report = await upscale(encoded(gradient(9, 9)), MODEL | {"tile_size": 128, "denoise": 1})
    assert report["notes"] == [
        "denoise_strength has no effect on aura-sr-v2",
        "tile_size has no effect on aura-sr-v2",
    ]
