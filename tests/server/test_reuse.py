"""What a request computes once, and what it needn't compute, without a pixel that differs."""

import asyncio
import weakref

import numpy as np
import pytest

from pictures import encoded, encoded_16, gradient, pixels_of, sample
from sakuga import ServerError
from sakuga_core.progress import Progress
from sakuga_server.caller import Caller
from sakuga_server.pipelines.reuse import Memory
from sakuga_server.pipelines.upscale import Upscale
from small_network import RADIUS, SCALE, SmallNetwork, means, settings

TILE = {"tile_size": 32}


def page() -> np.ndarray:
    """A page with wide margins of one colour: (300, 260, 3)."""
    pixels = np.full((300, 260, 3), (250, 248, 240), np.uint8)
    pixels[110:190, 90:170] = gradient(80, 80)
    return pixels


@pytest.mark.parametrize("deep", [False, True])
async def test_equal_tiles_are_computed_once_and_the_result_is_the_same(deep: bool) -> None:
    net = SmallNetwork()
    pixels = page().astype(np.uint16) * 257 if deep else page()
    data = encoded_16(pixels) if deep else encoded(pixels)
    result, report = await Upscale(net, settings())(data, TILE)
    assert np.array_equal(pixels_of(result), means(pixels))
    assert report["tiles"] > 60
    assert report["tiles_computed"] == len(net.windows) < report["tiles"] / 2


async def test_tiles_that_differ_in_one_sample_are_both_computed() -> None:
    pixels = page()
    pixels[60, 130, 2] -= 1
    net, plain = SmallNetwork(), SmallNetwork()
    result, _ = await Upscale(net, settings())(encoded(pixels), TILE)
    await Upscale(plain, settings())(encoded(page()), TILE)
    assert np.array_equal(pixels_of(result), means(pixels))
    assert len(net.windows) > len(plain.windows)


async def test_what_is_transparent_isnt_computed() -> None:
    pixels = np.zeros((256, 256, 4), np.uint8)
    pixels[:128, :128, :3] = gradient(128, 128)
    pixels[:128, :128, 3] = 255
    net = SmallNetwork()
    result, _ = await Upscale(net, settings())(encoded(pixels), TILE)
    found = pixels_of(result)
    assert net.pixels < 0.75 * 2 * 256**2  # colour and alpha
    assert (found[300:, 300:] == 0).all()
    assert (found[..., 3][:240, :240] == 255).all()


async def test_leaving_out_transparent_tiles_changes_no_pixel() -> None:
    """Large tiles all see something; small ones are left out where nothing is to be seen."""
    drawing = sample("mascot")
    upscale = Upscale(SmallNetwork(), settings())
    small, large = [await upscale(encoded(drawing), {"tile_size": side}) for side in (32, 2048)]
    assert np.array_equal(pixels_of(small[0]), pixels_of(large[0]))


async def test_the_tiles_of_a_still_cut_out_are_chosen_to_leave_much_out() -> None:
    pixels = np.zeros((512, 512, 4), np.uint8)
    for corner in (pixels[:100, :100], pixels[-100:, -100:]):
        corner[..., :3], corner[..., 3] = gradient(100, 100), 255
    net = SmallNetwork()
    _, report = await Upscale(net, settings())(encoded(pixels), {})
    assert report["tile_size"] < 512
    assert net.pixels < 0.2 * 2 * 512**2


@pytest.mark.parametrize("alpha", [None, 77])
async def test_a_picture_of_one_colour_keeps_it(alpha: int | None) -> None:
    net, colour = SmallNetwork(), [200, 10, 90, *([] if alpha is None else [alpha])]
    flat = np.full((5, 40, len(colour)), colour, np.uint8)
    result, report = await Upscale(net, settings())(encoded(flat), {})
    assert np.array_equal(pixels_of(result), np.full((10, 80, len(colour)), colour))
    assert not net.windows
    assert report["tiles_computed"] == 0
    as_network, _ = await Upscale(net, settings())(encoded(flat[..., :3]), {"reference_flat": True})
    assert np.array_equal(pixels_of(as_network), means(flat[..., :3]))


async def test_gray_that_is_stored_as_rgb_stays_gray() -> None:
    async def tinted(*call: object) -> np.ndarray:
        result = await SmallNetwork()(*call)  # type: ignore[arg-type]
        return result // np.array([1, 2, 3])

    gray = np.repeat(sample("lineart", (0, 0, 60, 50))[..., None], 3, axis=2)
    result, report = await Upscale(tinted, settings())(encoded(gray), {})  # type: ignore[arg-type]
    found = pixels_of(result)
    assert found.shape == (100, 120, 3)
    assert np.array_equal(found[..., 0], found[..., 1])
    assert np.array_equal(found[..., 0], found[..., 2])
    assert report["output"]["mode"] == "rgb 8 bit"
    kept, _ = await Upscale(tinted, settings())(encoded(gray), {"preserve_gray": False})  # type: ignore[arg-type]
    assert not np.array_equal(pixels_of(kept)[..., 0], pixels_of(kept)[..., 1])


async def test_progress_ends_with_all_tiles() -> None:
    told: list[Progress] = []
    caller = Caller(progress=told.append)
    _, report = await Upscale(SmallNetwork(), settings())(encoded(sample("mascot")), TILE, caller)
    assert [each.done for each in told] == sorted({each.done for each in told})
    assert {each.total for each in told} == {report["tiles"]}
    assert told[-1] == Progress("tiles", report["tiles"], report["tiles"])


async def test_two_passes_are_told_together_and_named() -> None:
    told: list[Progress] = []
    upscale = Upscale(SmallNetwork(), settings())
    pixels = gradient(40, 70)
    result, report = await upscale(encoded(pixels), {"scale": 4}, Caller(progress=told.append))
    assert np.array_equal(pixels_of(result), means(means(pixels).astype(np.uint8)))
    assert report["passes"] == [2, 2]
    assert told[-1].done == told[-1].total == report["tiles"] == 2


async def test_a_tile_under_way_is_waited_for() -> None:
    memory, go, calls = Memory(2), asyncio.Event(), 0
    first, second = np.zeros(3), np.zeros(3)

    async def compute() -> None:
        nonlocal calls
        calls += 1
        await go.wait()
        first[:] = 7

    work = [
        asyncio.ensure_future(frame.fill("tile", target, compute))
        for frame, target in ((memory.frame(), first), (memory.frame(), second))
    ]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(*work)
    assert (calls, second.tolist()) == (1, [7, 7, 7])


async def test_a_failed_tile_fails_for_all_who_wait_for_it() -> None:
    memory = Memory(2)

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ServerError("broken")

    work = [memory.frame().fill("tile", np.zeros(1), fail) for _ in range(2)]
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    assert [type(each) for each in outcomes] == [ServerError, ServerError]


async def test_of_older_frames_nothing_is_held() -> None:
    memory, frames = Memory(3), []
    for index in range(10):
        whole = np.full((100, 100), index)
        frames.append(weakref.ref(whole))

        async def compute() -> None:
            pass

        await memory.frame().fill(("tile", index), whole[:50], compute)
        del whole
    assert [frame() is not None for frame in frames] == [False] * 7 + [True] * 3


def test_the_network_of_these_tests_sees_no_farther_than_it_says() -> None:
    pixels = gradient(60, 60)
    other = pixels.copy()
    other[30, 30] ^= 255
    rows, columns = np.nonzero((means(pixels) != means(other)).any(axis=2))
    reach = range(SCALE * (30 - RADIUS), SCALE * (31 + RADIUS))
    assert set(rows) <= set(reach)
    assert set(columns) <= set(reach)
