"""Animations written: read back here, by Pillow, and by libwebp."""

import gc
import io
import struct
import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageCms

import animations as made
from moving import (
    pillows,
    read,
    same,
    shown,
    visible,
    visibly_same,
    with_its_alpha,
    without_alpha,
)
from pictures import sample
from sakuga import TooLarge
from sakuga_server.imaging import animation
from sakuga_server.imaging.animation import Timing
from sakuga_server.imaging.metadata import Metadata, Text, icc
from sakuga_server.imaging.picture import Picture

SIZE = WIDTH, HEIGHT = 14, 11
SEEDS = range(8)
FORMATS = ("png", "webp", "gif", "avif")
LOSSLESS = ("png", "webp", "gif")


def scene(seed: int, alphas: str = "any", dtype: type = np.uint8) -> list[np.ndarray]:
    """Frames (H, W, 4), drawn at random."""
    return made.composed(made.ops(seed, alphas=alphas, dtype=dtype), *SIZE)


def few_colours(seed: int, alphas: str = "binary") -> list[np.ndarray]:
    drawings = made.indexed(made.ops(seed, alphas=alphas), seed)
    return [visible(frame) for frame in made.composed(drawings, *SIZE)]


def opaque(frames: list[np.ndarray]) -> list[np.ndarray]:
    return [np.dstack([f[..., :3], np.full_like(f[..., 0], np.iinfo(f.dtype).max)]) for f in frames]


def written(
    frames: list[np.ndarray], format: str, timing: Timing | None = None, **options: object
) -> bytes:
    height, width = frames[0].shape[:2]
    timing = timing or Timing((50,) * len(frames))
    alpha = bool(
        options.setdefault("alpha", any((f[..., 3] < np.iinfo(f.dtype).max).any() for f in frames))
    )
    writer = animation.writer(format, width, height, timing, **options)  # type: ignore[arg-type]
    for frame in frames:
        writer.add((with_its_alpha if alpha else without_alpha)(frame))
    return writer.finish()


def warnings_of(frames: list[np.ndarray], format: str, **options: object) -> list[str]:
    height, width = frames[0].shape[:2]
    timing = Timing((50,) * len(frames))
    writer = animation.writer(format, width, height, timing, alpha=True, **options)  # type: ignore[arg-type]
    for frame in frames:
        writer.add(with_its_alpha(frame))
    writer.finish()
    return writer.warnings


# What comes back


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("format", ["png", "webp"])
def test_frames_come_back_exactly(format: str, seed: int) -> None:
    frames = scene(seed)
    data = written(frames, format)
    assert same(shown(read(data)), frames)
    assert visibly_same(pillows(data)[0], frames)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("format", ["png", "webp"])
def test_opaque_frames_come_back_exactly_and_opaque(format: str, seed: int) -> None:
    frames = opaque(scene(seed))
    data = written(frames, format)
    assert not read(data).alpha
    assert same(shown(read(data)), frames)
    assert same(pillows(data)[0], frames)


@pytest.mark.parametrize("seed", SEEDS)
def test_16_bits_come_back_exactly(seed: int) -> None:
    for frames in (scene(seed, dtype=np.uint16), opaque(scene(seed, dtype=np.uint16))):
        moving = read(written(frames, "png", deep=True))
        assert moving.deep
        assert same(shown(moving), frames)


@pytest.mark.parametrize("seed", SEEDS)
def test_gif_frames_of_few_colours_come_back_exactly(seed: int) -> None:
    frames = few_colours(seed)
    data = written(frames, "gif")
    assert visibly_same(shown(read(data)), frames)


@pytest.mark.parametrize("seed", SEEDS)
def test_opaque_gif_frames_of_few_colours_come_back_exactly(seed: int) -> None:
    frames = opaque(few_colours(seed, "full"))
    data = written(frames, "gif")
    assert not read(data).alpha
    assert same(shown(read(data)), frames)
    assert same(pillows(data)[0], frames)


@pytest.mark.parametrize("colours", [1, 2, 255, 256])
def test_up_to_256_colours_of_an_opaque_gif_are_exact(colours: int) -> None:
    table = np.random.default_rng(colours).integers(0, 256, (colours, 3), np.uint8)
    cells = np.arange(300) % colours
    frames = [
        np.dstack(
            [table[np.roll(cells, 7 * n)].reshape(15, 20, 3), np.full((15, 20), 255, np.uint8)]
        )
        for n in range(3)
    ]
    frames.append(frames[-1])
    data = written(frames, "gif")
    assert same(shown(read(data)), frames)
    assert same(pillows(data)[0], frames)


def test_pixels_of_a_gif_that_come_and_go_are_exact() -> None:
    random = np.random.default_rng(0)
    frames = []
    for _ in range(12):
        frame = np.zeros((9, 13, 4), np.uint8)
        for _ in range(int(random.integers(0, 4))):
            y, x = random.integers(0, 9), random.integers(0, 13)
            frame[y : y + 4, x : x + 3] = (*random.integers(0, 3, 3) * 100, 255)
        frames.append(frame)
    frames[3] = np.zeros_like(frames[3])
    assert visibly_same(shown(read(written(frames, "gif"))), frames)


def test_a_gif_of_nothing_stays_one() -> None:
    frames = [np.zeros((5, 7, 4), np.uint8)] * 3
    assert same(shown(read(written(frames, "gif"))), frames)


def test_an_avif_is_within_3_levels_without_a_quality() -> None:
    frames = walk(5, alpha=True)
    moving = read(written(frames, "avif"))
    assert moving.alpha
    assert worst(shown(moving), [visible(each) for each in frames]) <= 3


def walk(count: int, alpha: bool = False) -> list[np.ndarray]:
    """A figure over a still ground, or over none."""
    figure = sample("heroine", (60, 20, 124, 84))[..., :3]
    ground = sample("sunset", (0, 0, 120, 96))[..., :3]
    y, x = np.mgrid[0:64, 0:64] - 32
    inside = (y * y + x * x < 30 * 30)[..., None]
    frames = []
    for number in range(count):
        frame = np.zeros((96, 120, 4), np.uint8)
        if not alpha:
            frame[...] = np.dstack([ground, np.full((96, 120), 255, np.uint8)])
        part = frame[16:80, 6 * number : 6 * number + 64]
        part[...] = np.where(inside, np.dstack([figure, np.full((64, 64), 255, np.uint8)]), part)
        frames.append(frame)
    return frames


def worst(found: list[np.ndarray], expected: list[np.ndarray]) -> int:
    pairs = zip(found, expected, strict=True)
    return max(int(np.abs(visible(a).astype(int) - b).max()) for a, b in pairs)


@pytest.mark.parametrize("format", ["webp", "avif"])
def test_a_quality_makes_smaller_files(format: str) -> None:
    frames = walk(5)
    sizes = [len(written(frames, format, quality=quality)) for quality in (20, 60, 95, None)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1] / 2


def test_lossless_counts_for_more_than_a_quality() -> None:
    frames = walk(3)
    assert written(frames, "webp", quality=10, lossless=True) == written(frames, "webp")
    assert written(frames, "webp", lossless=False) == written(frames, "webp", quality=90)


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_frames_give_the_same_file(format: str) -> None:
    assert written(walk(3), format) == written(walk(3), format)


def test_gray_frames_are_written_as_rgb() -> None:
    gray = np.arange(99, dtype=np.uint8).reshape(9, 11)
    for name in LOSSLESS:
        writer = animation.writer(name, 11, 9, Timing((50, 50)), alpha=False)
        writer.add(Picture(gray))
        writer.add(Picture(gray[::-1].copy()))
        frames = shown(read(writer.finish()))
        assert np.array_equal(frames[1][..., :3], np.dstack([gray[::-1]] * 3))


# Time


@pytest.mark.parametrize("format", FORMATS)
def test_every_frame_keeps_its_duration(format: str) -> None:
    durations = (40, 100, 70, 1000, 90)
    frames = [walk(1)[0]] * 5  # of which none changes anything
    data = written(frames, format, Timing(durations))
    assert read(data).timing.durations == durations
    assert len(shown(read(data))) == 5


@pytest.mark.parametrize("format", LOSSLESS)
def test_the_same_picture_can_be_given_again(format: str) -> None:
    pictures = [with_its_alpha(each) for each in few_colours(4)[:2]]
    writer = animation.writer(format, *SIZE, Timing((50,) * 4), alpha=True)
    for number in (0, 0, 1, 1):
        writer.add(pictures[number])
    found = shown(read(writer.finish()))
    assert visibly_same(found[::2], found[1::2])
    assert not np.array_equal(found[0], found[2])


@pytest.mark.parametrize("format", ["png", "webp", "avif"])
def test_milliseconds_are_kept(format: str) -> None:
    durations = (1, 33, 34, 41, 12345)
    data = written(walk(5), format, Timing(durations))
    assert read(data).timing.durations == durations
    assert pillows(data)[1] == list(durations)


def test_long_and_no_durations_are_kept_in_an_apng() -> None:
    durations = (0, 65534, 70_000, 7_000_000)
    assert read(written(walk(4), "png", Timing(durations))).timing.durations == durations


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("loop", [0, 1, 2, 77])
def test_it_plays_as_often(format: str, loop: int) -> None:
    data = written(walk(3), format, Timing((50,) * 3, loop))
    assert read(data).timing.loop == loop


@pytest.mark.parametrize(("format", "most"), [("webp", 65535), ("gif", 65536)])
def test_more_plays_than_a_format_counts_are_its_most(format: str, most: int) -> None:
    assert read(written(walk(2), format, Timing((50, 50), 10**6))).timing.loop == most


def test_the_background_of_a_webp_is_kept() -> None:
    timing = Timing((50, 50), background=(1, 2, 3, 4))
    assert read(written(walk(2), "webp", timing)).timing.background == (1, 2, 3, 4)


@pytest.mark.parametrize("duration", [24, 33, 41, 42, 85])
def test_durations_of_a_gif_add_up(duration: int) -> None:
    frames = few_colours(0) * 10
    timing = Timing((duration,) * len(frames))
    found = read(written(frames, "gif", timing)).timing.durations
    assert set(found) == {duration // 10 * 10, duration // 10 * 10 + 10}
    assert abs(sum(found) - sum(timing.durations)) <= 5


def test_a_gif_has_no_frame_that_browsers_slow_down() -> None:
    frames = few_colours(0)
    found = read(written(frames, "gif", Timing((0, 1, 9, 15, 20, 30, 100)))).timing.durations
    assert found == (20, 20, 20, 20, 20, 30, 100)


# What a format costs is said


def test_a_gif_says_what_it_costs() -> None:
    frames = walk(3)
    frames[1][..., 3] = 100
    writer = animation.writer("gif", 120, 96, Timing((33, 50, 5)), alpha=True)
    for frame in frames:
        writer.add(with_its_alpha(frame))
    writer.finish()
    said = " / ".join(writer.warnings)
    assert "256 colours" in said
    assert "half-transparent" in said
    assert "hundredths" in said
    assert "20 to 655,350" in said
    assert len(writer.warnings) == 4


def test_a_gif_that_costs_nothing_says_nothing() -> None:
    assert warnings_of(few_colours(1), "gif") == []


def test_half_transparent_pixels_of_a_gif_are_shown_from_128_on() -> None:
    frame = np.full((1, 4, 4), 200, np.uint8)
    frame[0, :, 3] = (0, 127, 128, 255)
    found = shown(read(written([frame, frame], "gif")))[0]
    assert found[0, :, 3].tolist() == [0, 0, 255, 255]


def test_16_bits_are_rounded_where_a_format_has_8_and_it_says_so() -> None:
    frames = scene(0, dtype=np.uint16)
    rounded = [np.rint(each / 257).astype(np.uint8) for each in frames]
    writer = animation.writer("webp", *SIZE, Timing((50,) * len(frames)), alpha=True, deep=True)
    for frame in frames:
        writer.add(with_its_alpha(frame))
    assert same(shown(read(writer.finish())), rounded)
    assert writer.warnings == ["the format holds 8 bits a sample; png keeps all 16"]


def test_what_a_format_cant_use_is_said() -> None:
    frames = few_colours(0)
    assert warnings_of(frames, "png", quality=80) == ["png takes no quality; it was ignored"]
    both = {"quality": 80, "lossless": True}
    assert warnings_of(frames, "webp", **both) == ["the webp is lossless; quality was ignored"]


@pytest.mark.parametrize(("format", "side"), [("webp", 16384), ("gif", 65536), ("avif", 65536)])
def test_a_canvas_that_a_format_cant_hold_is_refused_before_any_frame(
    format: str, side: int
) -> None:
    for size in ((side, 2), (2, side)):
        with pytest.raises(TooLarge, match=str(side)):
            animation.writer(format, *size, Timing((50, 50)), alpha=False)


@pytest.mark.parametrize("format", FORMATS)
def test_frames_that_dont_fit_are_refused(format: str) -> None:
    writer = animation.writer(format, 8, 8, Timing((50, 50)), alpha=False)
    pixels = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="7x8"):
        writer.add(Picture(pixels[:, :7]))
    with pytest.raises(ValueError, match="alpha"):
        writer.add(Picture(pixels, pixels[..., 0]))
    writer.add(Picture(pixels))
    with pytest.raises(ValueError, match="1 frames of 2"):
        writer.finish()
    writer.add(Picture(pixels))
    with pytest.raises(ValueError, match="more than 2"):
        writer.add(Picture(pixels))


# Only what changes is written


@pytest.mark.parametrize("format", LOSSLESS)
def test_frames_with_a_small_change_are_small(format: str) -> None:
    still = walk(1)[0]
    frames = []
    for number in range(30):
        frame = still.copy()
        frame[50:54, 3 * number : 3 * number + 4, :3] = 255
        frames.append(frame)
    one = len(written([still, still], format))
    data = written(frames, format)
    assert len(data) < 1.5 * one
    assert format == "gif" or same(shown(read(data)), frames)


@pytest.mark.parametrize("format", LOSSLESS)
def test_changes_far_apart_are_small_too(format: str) -> None:
    still = walk(1)[0]
    frames = []
    for number in range(20):
        frame = still.copy()
        frame[2:6, number : number + 4, :3] = 255
        frame[90:94, 100 - number : 104 - number, :3] = 0
        frames.append(frame)
    one = len(written([still, still], format))
    data = written(frames, format)
    assert len(data) < 2.5 * one
    assert format == "gif" or same(shown(read(data)), frames)


# One palette


def test_a_gif_has_one_palette_for_all_frames() -> None:
    data = written(walk(6), "gif")
    with Image.open(io.BytesIO(data)) as file:
        table = file.getpalette()
        assert len(data) > 1000
        colours = {tuple(table[at : at + 3]) for at in range(0, 768, 3)}
    for frame in shown(read(data)):
        assert {tuple(each) for each in frame[..., :3].reshape(-1, 3).tolist()} <= colours


def test_what_stands_still_never_changes_its_colour() -> None:
    frames = walk(8)
    found = shown(read(written(frames, "gif")))
    for (a, b), (x, y) in zip(pairwise(frames), pairwise(found), strict=True):
        still = (a == b).all(axis=-1)
        assert np.array_equal(x[still], y[still])
        assert not np.array_equal(x, y)


def test_equal_colours_are_equal_in_all_frames_of_a_gif() -> None:
    shown_as: dict[bytes, bytes] = {}
    frames = walk(6)
    for source, result in zip(frames, shown(read(written(frames, "gif"))), strict=True):
        pairs = zip(source.reshape(-1, 4), result.reshape(-1, 4), strict=True)
        for before, after in pairs:
            assert shown_as.setdefault(before.tobytes(), after.tobytes()) == after.tobytes()


def test_the_palette_is_no_worse_than_pillows_best() -> None:
    frames = walk(6)
    found = shown(read(written(frames, "gif")))
    strip = Image.fromarray(np.concatenate([f[..., :3] for f in frames]))
    best = strip.quantize(255, kmeans=1, dither=Image.Dither.NONE).convert("RGB")
    ours = np.concatenate([f[..., :3] for f in found])
    assert error(ours, np.asarray(strip)) <= 1.05 * error(np.asarray(best), np.asarray(strip))


def error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.mean((found.astype(float) - expected) ** 2))


# Beside the pixels


def test_metadata_is_kept_as_far_as_each_format_can_hold_it() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><a/></x:xmpmeta>"
    about = Metadata(
        icc=profile,
        exif=exif.tobytes().removeprefix(b"Exif\0\0"),
        xmp=xmp,
        text=(Text("parameters", "one girl"),),
    )
    files = [written(walk(2), each, metadata=about) for each in FORMATS]
    png, webp, gif, avif = (read(each).metadata for each in files)
    assert png.icc == webp.icc == avif.icc == profile
    assert [each.text for each in png.text] == ["one girl"]
    for found in (png, webp, gif, avif):
        assert b"<a/>" in (found.xmp or b"")
    for found in (png, webp, avif):
        assert b"a camera" in (found.exif or b"")


def test_pillow_finds_the_metadata_too() -> None:
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><a/></x:xmpmeta>"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name in ("png", "webp", "avif"):
        data = written(walk(3), name, metadata=Metadata(icc=profile, xmp=xmp))
        with Image.open(io.BytesIO(data)) as file:
            assert file.n_frames == 3
            assert file.info["icc_profile"] == profile
            assert b"<a/>" in bytes(str(file.info["xmp"]), "latin-1")


def test_a_gif_has_the_colours_of_a_profile_that_it_cant_hold() -> None:
    swapped = icc.of_primaries(((0.30, 0.60), (0.64, 0.33), (0.15, 0.06)), icc.D65, icc.SRGB_CURVE)
    frame = np.full((4, 4, 4), (250, 20, 30, 255), np.uint8)
    data = written([frame, frame], "gif", metadata=Metadata(icc=swapped))
    red, green, blue = shown(read(data))[0][0, 0, :3].tolist()
    assert (abs(red - 20) < 3, abs(green - 250) < 3, abs(blue - 30) < 3) == (True, True, True)


# Whoever goes leaves nothing


def test_a_writer_of_avif_that_is_given_up_leaves_no_thread() -> None:
    writer = animation.writer("avif", 120, 96, Timing((50,) * 9), alpha=False)
    writer.add(without_alpha(walk(1)[0]))
    (thread,) = [each for each in threading.enumerate() if each.name == "avif"]
    del writer
    gc.collect()
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_drawings_by_others_survive_every_format() -> None:
    drawings = [replace(op, milliseconds=50) for op in made.ops(3, alphas="binary")]
    moving = read(made.apng(drawings, *SIZE, plays=3))
    for name in ("png", "webp"):
        writer = animation.writer(name, *SIZE, moving.timing, alpha=moving.alpha)
        for frame in moving.frames():
            writer.add(frame)
        again = read(writer.finish())
        assert same(shown(again), shown(moving))
        assert again.timing == replace(moving.timing, background=again.timing.background)


def test_a_webp_says_its_own_length() -> None:
    data = written(walk(3), "webp")
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
