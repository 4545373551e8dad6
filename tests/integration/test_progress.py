"""Progress of the real pipelines, and the end of their work, through a real Triton."""

import asyncio
import io
from pathlib import Path

import pytest
from PIL import Image

import envoy_for_tests
from pictures import encoded, gradient, off, pixels_of, sample
from sakuga import (
    BadImage,
    BadOption,
    Config,
    DeadlineExceeded,
    Images,
    ModelNotInstalled,
    Progress,
    connect,
)
from sakuga.local import split
from sakuga_core.networks.families import Upscaler
from sakuga_core.networks.registry import by_name
from sakuga_server.imaging import tiling
from sakuga_server.runtime.embedded import run_triton

VIDEO, NETWORK = {"model": "realesr-animevideov3"}, "realesr_animevideov3"
TILED = VIDEO | {"tile_size": 32}


def grows(seen: list[Progress]) -> bool:
    """Whether that is the progress of one attempt, from its start to its end."""
    done = [each.done for each in seen]
    return done == sorted(set(done)) and seen[-1].done == seen[-1].total


@pytest.mark.parametrize("action", ["upscale", "fix_artifacts"])
async def test_a_picture_tells_its_tiles_and_is_the_same_as_without(
    images: Images, action: str
) -> None:
    seen: list[Progress] = []
    picture = encoded(sample("sunset", (0, 0, 200, 150)))
    reply = await images.run(picture, action, TILED, on_progress=seen.append)
    assert {each.unit for each in seen} == {"tiles"}
    assert grows(seen)
    assert seen[-1].total == reply.report["tiles"] > 10
    assert (
        off(pixels_of(reply.result), pixels_of(await images.process(picture, action, TILED))) == 0
    )


@pytest.mark.parametrize(
    ("picture", "options", "kind"),
    [
        (b"no picture", VIDEO, BadImage),
        (encoded(gradient(8, 8)), {"model": "waifu2x"}, BadOption),
        (encoded(gradient(8, 8)), {"model": "realesrgan-x4plus"}, ModelNotInstalled),
    ],
)
async def test_errors_are_those_of_a_plain_call(
    images: Images, picture: bytes, options: dict[str, object], kind: type[Exception]
) -> None:
    with pytest.raises(kind) as plain:
        await images.process(picture, "upscale", options)
    with pytest.raises(kind) as streamed:
        await images.process(picture, "upscale", options, on_progress=lambda _: None)
    assert str(streamed.value) == str(plain.value)


def animation(frames: int = 4) -> bytes:
    """A GIF in which a bar moves over a drawing."""
    drawn = Image.fromarray(sample("mascot")).convert("RGB").resize((96, 96))
    pages = [drawn.copy() for _ in range(frames)]
    for i, page in enumerate(pages):
        page.paste((200, 30, 30), (12 * i, 0, 12 * i + 8, 96))
    file = io.BytesIO()
    pages[0].save(file, "GIF", save_all=True, append_images=pages[1:], duration=80, loop=0)
    return file.getvalue()


def frames_of(data: bytes) -> int:
    return getattr(Image.open(io.BytesIO(data)), "n_frames", 1)


@pytest.mark.parametrize(
    ("action", "options"),
    [("upscale", VIDEO), ("rembg", {"model": "u2net"}), ("fix_artifacts", VIDEO)],
)
async def test_an_animation_tells_its_frames(
    images: Images, action: str, options: dict[str, object]
) -> None:
    seen: list[Progress] = []
    result = await images.process(animation(), action, options, on_progress=seen.append)
    assert frames_of(result) == 4
    assert {(each.unit, each.total) for each in seen} == {("frames", 4)}
    assert grows(seen)


# In every run: all frames above, and the first one in `test_animated`.
@pytest.mark.full
async def test_of_an_animation_rembg_takes_all_frames_or_the_first(images: Images) -> None:
    data = animation()
    options = {"model": "u2net"}
    assert frames_of(await images.process(data, "rembg", options)) == 4
    first = await images.process(data, "rembg", options | {"animation": "first"})
    assert frames_of(first) == 1
    still = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(still, "PNG")
    expected = await images.process(still.getvalue(), "rembg", options)
    assert off(pixels_of(first), pixels_of(expected)) == 0


async def until_idle(images: Images) -> int:
    """Waits until the network computes nothing any more; the tiles that it has computed."""
    before = -1
    while (now := (await images.triton.status())["models"][NETWORK]["images"]) != before:
        before = now
        await asyncio.sleep(1)
    return int(now)


def tiles_of(pixels_shape: tuple[int, ...]) -> int:
    network = by_name(VIDEO["model"])
    assert isinstance(network, Upscaler)
    return len(list(tiling.split(*pixels_shape[:2], 32, network.receptive_field)))


async def test_a_call_that_is_cancelled_ends_the_servers_work(images: Images) -> None:
    pixels, begun = sample("heroine"), asyncio.Event()
    before = await until_idle(images)
    call = asyncio.ensure_future(
        images.process(encoded(pixels), "upscale", TILED, on_progress=lambda _: begun.set())
    )
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await until_idle(images) - before < tiles_of(pixels.shape) / 2


async def test_a_deadline_ends_the_servers_work(config: Config, url: str, images: Images) -> None:
    hurried = config.model_copy(deep=True)
    hurried.server.timeout = 0.5
    pixels = sample("heroine")
    picture = encoded(pixels)
    before = await until_idle(images)
    async with connect(hurried, url=url) as impatient:
        with pytest.raises(DeadlineExceeded, match=r"server\.timeout"):
            await impatient.process(picture, "upscale", TILED, on_progress=lambda _: None)
    assert await until_idle(images) - before < tiles_of(pixels.shape) / 2


async def test_an_exception_of_the_callback_ends_the_servers_work(images: Images) -> None:
    def broken(progress: Progress) -> None:
        raise KeyError("mine")

    pixels = sample("heroine")
    before = await until_idle(images)
    with pytest.raises(KeyError, match="mine"):
        await images.process(encoded(pixels), "upscale", TILED, on_progress=broken)
    assert await until_idle(images) - before < tiles_of(pixels.shape) / 2


async def test_a_server_without_the_twin_serves_without_progress(config: Config) -> None:
    seen: list[Progress] = []
    picture = encoded(gradient(20, 20))
    with run_triton(config, models=["upscale", "networks", NETWORK]) as server:
        async with connect(config, url=server.url) as images:
            result = await images.process(picture, "upscale", VIDEO, on_progress=seen.append)
    assert pixels_of(result).shape == (80, 80, 3)
    assert seen == []


async def test_progress_and_cancellation_pass_through_the_charts_envoy(
    tmp_path: Path, config: Config, url: str, images: Images
) -> None:
    seen: list[Progress] = []
    begun, pixels = asyncio.Event(), sample("heroine")
    with envoy_for_tests.envoy(tmp_path, [split(url)[1]]) as envoy:
        async with connect(config, url=envoy.url) as behind:
            part = encoded(pixels[:100, :100])
            await behind.process(part, "upscale", TILED, on_progress=seen.append)
            before = await until_idle(images)
            call = asyncio.ensure_future(
                behind.process(encoded(pixels), "upscale", TILED, on_progress=lambda _: begun.set())
            )
            await begun.wait()
            call.cancel()
            await asyncio.wait([call])
            assert await until_idle(images) - before < tiles_of(pixels.shape) / 2
    assert grows(seen)
    assert seen[-1].total > 1
