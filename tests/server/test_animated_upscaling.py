"""Animations through the pipelines: every frame is what it would be alone, for less work."""

import io
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from pictures import encoded, encoded_16, gradient, pixels_of, sample
from sakuga import BadOption, TooLarge
from sakuga_core.config.server import Limits
from sakuga_core.progress import Progress
from sakuga_server.caller import Caller
from sakuga_server.imaging import animation
from sakuga_server.imaging.decode import decode
from sakuga_server.pipelines.settings import UpscaleSettings
from sakuga_server.pipelines.upscale import Upscale
from small_network import SCALE, SmallNetwork, means, settings


def scene(count: int, side: int = 192, hold: int = 1) -> list[np.ndarray]:
    """A square of 20² that moves before a still background, (side, side, 3)."""
    ground, square = gradient(side, side), gradient(20, 20)[::-1]
    frames = []
    for index in range(count):
        frame, left = ground.copy(), 10 + 3 * (index // hold)
        frame[40:60, left : left + 20] = square
        frames.append(frame)
    return frames


def cut_out(count: int) -> list[np.ndarray]:
    """The mascot, moving, on nothing: (400, 400, 4)."""
    whole = np.zeros((400, 400, 4), np.uint8)
    whole[10:210, 10:210] = sample("mascot", (60, 20, 260, 220))
    return [np.roll(whole, 2 * index, axis=1) for index in range(count)]


def webp(frames: list[np.ndarray], durations: list[int] | None = None, loop: int = 0) -> bytes:
    first, *others = map(Image.fromarray, frames)
    file = io.BytesIO()
    durations = durations or [40] * len(frames)
    first.save(
        file, "WEBP", save_all=True, append_images=others, duration=durations, loop=loop,
        lossless=True, exact=True,
    )  # fmt: skip
    return file.getvalue()


def frames_of(data: bytes) -> Iterator[np.ndarray]:
    read = animation.read(data, Limits())
    assert read is not None
    for frame in read.frames():
        yield frame.colour if frame.alpha is None else np.dstack((frame.colour, frame.alpha))


async def test_every_frame_is_as_the_network_gives_it() -> None:
    frames, net = scene(12), SmallNetwork()
    result, report = await Upscale(net, settings())(webp(frames), {})
    for found, frame in zip(frames_of(result), frames, strict=True):
        assert np.array_equal(found, means(frame))
    assert net.pixels < 0.5 * len(frames) * 192**2
    assert report["frames"] == 12
    assert report["tiles_computed"] < report["tiles"]


@pytest.mark.parametrize("format", ["png", "webp"])
async def test_cut_outs_are_what_each_frame_is_alone(format: str) -> None:
    frames, net, every = cut_out(6), SmallNetwork(), SmallNetwork()
    result, report = await Upscale(net, settings())(webp(frames), {"format": format})
    tiles = {"tile_size": report["tile_size"]}
    for found, frame in zip(frames_of(result), frames, strict=True):
        alone, _ = await Upscale(every, settings())(encoded(frame), tiles)
        visible = found[..., 3] > 0
        assert np.array_equal(found[visible], pixels_of(alone)[visible])
        assert np.array_equal(found[..., 3], pixels_of(alone)[..., 3])
    assert net.pixels < 0.6 * 2 * len(frames) * 400**2


async def test_held_frames_and_cycles_are_computed_once() -> None:
    a, b = scene(2)
    net, held = SmallNetwork(), SmallNetwork()
    await Upscale(held, settings())(webp([a, a, a, b, b, b]), {})
    assert held.pixels < 2.2 * 192**2
    result, _ = await Upscale(net, settings())(webp([a, b, a, b, a, b]), {})
    assert net.pixels < 2.2 * 192**2
    for found, frame in zip(frames_of(result), [a, b] * 3, strict=True):
        assert np.array_equal(found, means(frame))


async def test_durations_and_loops_stay_and_frames_are_told() -> None:
    told: list[Progress] = []
    durations = [10, 50, 2000, 40]
    data = webp(scene(4), durations, loop=3)
    upscale = Upscale(SmallNetwork(), settings())
    for kind in ("webp", "png", "gif", "avif"):
        result, _ = await upscale(data, {"format": kind}, Caller(progress=told.append))
        read = animation.read(result, Limits())
        assert read is not None
        assert read.format == kind
        if kind != "gif":  # whose shortest delays browsers lengthen
            assert list(read.timing.durations) == durations
        assert told == [Progress("frames", done, 4) for done in (1, 2, 3, 4)]
        told.clear()


async def test_16_bits_go_through_whole() -> None:
    frames = [frame.astype(np.uint16) * 256 + 7 for frame in scene(3, 70)]
    timing = animation.Timing((40,) * 3, 0, None)
    file = animation.writer("png", 70, 70, timing, alpha=False, deep=True)
    for frame in frames:
        file.add(decode(encoded_16(frame), Limits()))
    result, report = await Upscale(SmallNetwork(), settings())(file.finish(), {})
    for found, frame in zip(frames_of(result), frames, strict=True):
        assert np.array_equal(found[..., :3], means(frame))
    assert "16 bit" in report["output"]["mode"]


async def test_the_format_stays_unless_another_one_is_asked_for() -> None:
    upscale = Upscale(SmallNetwork(), settings())
    for name, data in (("webp", webp(scene(2))), ("gif", gif(scene(2)))):
        assert (await upscale(data, {}))[1]["output"]["format"] == name
        assert (await upscale(data, {"format": "auto"}))[1]["output"]["format"] == name


def gif(frames: list[np.ndarray]) -> bytes:
    first, *others = (Image.fromarray(frame).quantize(64) for frame in frames)
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others, duration=100, loop=0)
    return file.getvalue()


async def test_the_first_frame_alone_is_a_still_picture() -> None:
    frames = scene(3)
    result, report = await Upscale(SmallNetwork(), settings())(webp(frames), {"animation": "first"})
    assert np.array_equal(pixels_of(result)[..., :3], means(frames[0]))
    assert "frames" not in report


@pytest.mark.parametrize("format", ["jpeg", "bmp", "raw", "tiff"])
async def test_a_format_for_one_picture_is_refused(format: str) -> None:
    text = f"option 'format' is '{format}', and the file has 3 pictures; allowed: png, webp, gif"
    with pytest.raises(BadOption, match=text):
        await Upscale(SmallNetwork(), settings())(webp(scene(3)), {"format": format})


async def test_limits_count_pixels_times_frames_before_any_work() -> None:
    net, limited = SmallNetwork(), settings()
    for limits in (Limits(frames=2), Limits(animation_pixels=3 * 192**2 - 1)):
        few = UpscaleSettings(networks=limited.networks, defaults=limited.defaults, limits=limits)
        with pytest.raises(TooLarge):
            await Upscale(net, few)(webp(scene(3)), {})
    assert not net.windows


async def test_frames_of_a_larger_scale_are_sized_like_stills() -> None:
    result, report = await Upscale(SmallNetwork(), settings())(webp(scene(2, 70)), {"width": 200})
    assert [frame.shape for frame in frames_of(result)] == [(200, 200, 3)] * 2
    assert report["passes"] == [1.429, SCALE]


async def test_memory_is_bounded_by_a_few_frames() -> None:
    """Of noise, so that nothing is reused, in a lossy format, whose frames hardly count."""
    peaks, noise = [], np.random.default_rng(1)
    for count in (8, 32):
        frames = [noise.integers(0, 256, (128, 128, 3), np.uint8) for _ in range(count)]
        data = webp(frames)
        work = Upscale(SmallNetwork(), settings())
        work.net.windows = Forgetful()  # type: ignore[attr-defined]
        tracemalloc.start()
        try:
            await work(data, {"scale": 4, "format": "webp", "quality": 1})
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    result = (4 * 128) ** 2 * 3
    assert peaks[1] - peaks[0] < 4 * result + 24 * 128**2 * 4  # and the compressed frames


class Forgetful(list[np.ndarray]):
    def append(self, window: np.ndarray) -> None:
        pass
