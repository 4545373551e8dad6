"""Animations written: read back here, by Pillow, and by libwebp."""

import gc
import io
import struct
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageCms

import animations as made
from moving import (
    SIZE,
    few_colours,
    opaque,
    pillows,
    read,
    same,
    scene,
    shown,
    visible,
    visibly_same,
    walk,
    warnings_of,
    with_its_alpha,
    without_alpha,
    worst,
    written,
)
from sakuga import TooLarge
from sakuga_server.imaging import animation
from sakuga_server.imaging.animation import Timing
from sakuga_server.imaging.metadata import Metadata, Text
from sakuga_server.imaging.picture import Picture

SEEDS = range(8)
FORMATS = ("png", "webp", "gif", "avif")
LOSSLESS = ("png", "webp", "gif")


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


def test_an_avif_is_within_3_levels_without_a_quality() -> None:
    frames = walk(5, alpha=True)
    moving = read(written(frames, "avif"))
    assert moving.alpha
    assert worst(shown(moving), [visible(each) for each in frames]) <= 3


def test_an_avif_warns_of_its_loss_only_where_it_should_have_none() -> None:
    frames = walk(2)
    assert warnings_of(frames, "avif") == []
    assert warnings_of(frames, "avif", quality=90) == []
    (warning,) = warnings_of(frames, "avif", lossless=True)
    assert "off by 3 of 255" in warning


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


@pytest.mark.parametrize("format", LOSSLESS)
def test_the_same_picture_can_be_given_again(format: str) -> None:
    pictures = [with_its_alpha(each) for each in few_colours(4)[:2]]
    writer = animation.writer(format, *SIZE, Timing((50,) * 4), alpha=True)
    for number in (0, 0, 1, 1):
        writer.add(pictures[number])
    found = shown(read(writer.finish()))
    assert visibly_same(found[::2], found[1::2])
    assert not np.array_equal(found[0], found[2])


# What a format costs is said


def test_16_bits_are_rounded_where_a_format_has_8_and_it_says_so() -> None:
    frames = scene(0, dtype=np.uint16)
    rounded = [np.rint(each / 257).astype(np.uint8) for each in frames]
    writer = animation.writer("webp", *SIZE, Timing((50,) * len(frames)), alpha=True, deep=True)
    for frame in frames:
        writer.add(with_its_alpha(frame))
    assert same(shown(read(writer.finish())), rounded)
    assert writer.warnings == ["the format has 8 bits per sample; png keeps 16"]


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
