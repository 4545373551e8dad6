"""The pipeline on a network of arithmetic: each pixel four times, so every result is known."""

import asyncio
import json

import numpy as np
import pytest

from networks_for_tests import EXPORTED, nearest
from pictures import encoded, encoded_16, gradient, off, pixels_of, sample
from sakuga import BadOption, Cancelled, ModelNotLoaded, TooLarge
from sakuga_server.caller import Caller
from sakuga_server.networks import Tile
from sakuga_server.pipelines.request import in_flight
from sakuga_server.pipelines.settings import Settings
from sakuga_server.pipelines.upscale import Upscale


def upscaled(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(4, axis=0).repeat(4, axis=1)


@pytest.fixture
def upscale(settings: Settings) -> Upscale:
    return Upscale(nearest, settings)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (37, 53), (300, 411)])
@pytest.mark.parametrize("tile_size", [32, 100, 512])
@pytest.mark.parametrize("model", EXPORTED)
async def test_tiles_come_back_in_their_places(
    upscale: Upscale, size: tuple[int, int], tile_size: int, model: str
) -> None:
    pixels = gradient(*size)
    options = {"tile_size": tile_size, "model": model}
    result, _ = await upscale(encoded(pixels), options)
    assert off(pixels_of(result), upscaled(pixels)) == 0


async def test_gray_comes_back_gray(upscale: Upscale) -> None:
    gray = sample("lineart", (0, 0, 60, 50))
    result, report = await upscale(encoded(gray), {})
    assert off(pixels_of(result), upscaled(gray)) == 0
    assert report["output"]["mode"] == "gray 8 bit"


@pytest.mark.parametrize("channels", [3, 4])
async def test_16_bits_go_through_whole(upscale: Upscale, channels: int) -> None:
    pixels = np.random.default_rng(1).integers(5000, 65536, (20, 30, channels), np.uint16)
    result, _ = await upscale(encoded_16(pixels), {})
    assert off(pixels_of(result), upscaled(pixels)) == 0


async def test_alpha_goes_through_the_network_and_colour_is_bled(upscale: Upscale) -> None:
    transparent = sample("mascot")
    result, report = await upscale(encoded(transparent), {})
    expected = upscaled(transparent)
    visible = expected[..., 3] >= 16
    found = pixels_of(result)
    assert off(found[..., 3], expected[..., 3]) == 0
    assert np.array_equal(found[visible], expected[visible])
    assert report["tiles"] == 2


async def test_opaque_alpha_needs_no_network(upscale: Upscale) -> None:
    pixels = np.dstack((gradient(20, 20), np.full((20, 20), 255, np.uint8)))
    result, report = await upscale(encoded(pixels), {})
    assert report["tiles_computed"] == 1
    assert off(pixels_of(result), upscaled(pixels)) == 0


async def test_reference_alpha_leaves_colours_as_they_are(upscale: Upscale) -> None:
    transparent = sample("mascot")
    result, _ = await upscale(encoded(transparent), {"reference_alpha": True})
    assert off(pixels_of(result), upscaled(transparent)) == 0


@pytest.mark.parametrize("scale", [1, 1.5, 2, 2.72, 3, 4])
async def test_sizes_round_down(upscale: Upscale, scale: float) -> None:
    result, report = await upscale(encoded(gradient(37, 53)), {"scale": scale})
    height, width = pixels_of(result).shape[:2]
    assert (width, height) == (int(53 * scale), int(37 * scale))
    assert (report["output"]["width"], report["output"]["height"]) == (width, height)


async def test_scale_1_of_flat_colour_is_the_picture(upscale: Upscale) -> None:
    flat = np.full((30, 40, 3), (10, 200, 90), np.uint8)
    result, _ = await upscale(encoded(flat), {"scale": 1})
    assert off(pixels_of(result), flat) == 0


async def test_the_report_says_what_was_done(upscale: Upscale) -> None:
    _, report = await upscale(encoded(gradient(30, 40)), {"denoise": 0.3, "tile_size": 2000})
    assert report["model"] == "realesrgan-x4plus-anime"
    assert report["input"]["width"] == 40
    assert set(report["milliseconds"]) == {"decode", "network", "resize", "encode", "total"}
    assert "denoise_strength has no effect" in report["notes"][1]
    assert "tile_size is 2000" in report["notes"][0]
    json.dumps(report)


async def test_aliases_name_the_same_network(upscale: Upscale) -> None:
    _, report = await upscale(encoded(gradient(9, 9)), {"model": "realesrgan-anime-6b"})
    assert report["model"] == "realesrgan-x4plus-anime"


@pytest.mark.parametrize(
    ("given", "strength"), [({}, 0.5), ({"denoise_strength": 0}, 0), ({"denoise": 0.25}, 0.25)]
)
async def test_the_denoise_strength_reaches_the_network(
    settings: Settings, given: dict[str, float], strength: float
) -> None:
    seen = []

    async def spy(model: str, tile: Tile) -> np.ndarray:
        seen.append(tile.denoise)
        return await nearest(model, tile)

    options = {"model": "realesr-general-x4v3", **given}
    await Upscale(spy, settings)(encoded(gradient(9, 9)), options)
    assert seen == [strength]


async def test_an_unknown_model_is_named_with_those_there_are(upscale: Upscale) -> None:
    with pytest.raises(BadOption, match=r"'model' is 'waifu2x'; allowed: realesrgan-x4plus-anime"):
        await upscale(encoded(gradient(9, 9)), {"model": "waifu2x"})


async def test_a_result_over_the_limit_is_refused_before_the_network(settings: Settings) -> None:
    limits = settings.limits.model_copy(update={"output_pixels": 1000})

    async def never(*_: object) -> np.ndarray:
        raise AssertionError

    small = Upscale(never, settings.model_copy(update={"limits": limits}))  # type: ignore[arg-type]
    with pytest.raises(TooLarge, match="1000"):
        await small(encoded(gradient(10, 10)), {})


async def test_a_failing_tile_ends_the_picture(settings: Settings) -> None:
    calls = 0

    async def failing(model: str, tile: Tile) -> np.ndarray:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.001)
        raise ModelNotLoaded("gone")

    options = {"tile_size": 32, "model": "realesr-animevideov3"}
    with pytest.raises(ModelNotLoaded):
        await Upscale(failing, settings)(encoded(gradient(400, 400)), options)
    assert calls <= 2 * in_flight(32)


async def test_a_cancelled_picture_stops(upscale: Upscale) -> None:
    with pytest.raises(Cancelled, match="caller disconnected"):
        await upscale(encoded(gradient(40, 40)), {}, Caller(lambda: True))


@pytest.mark.parametrize(("tile_size", "tiles"), [(32, 8), (512, 8), (1024, 2), (2048, 2)])
def test_fewer_large_tiles_are_under_way_at_once(tile_size: int, tiles: int) -> None:
    assert in_flight(tile_size) == tiles
