"""Animated GIFs written: 256 colours, and all or nothing of transparency."""

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from moving import (
    few_colours,
    opaque,
    pillows,
    read,
    same,
    shown,
    visibly_same,
    walk,
    warnings_of,
    with_its_alpha,
    written,
)
from sakuga_server.imaging import animation
from sakuga_server.imaging.animation import Timing
from sakuga_server.imaging.metadata import Metadata, icc

SEEDS = range(8)
FORMATS = ("png", "webp", "gif", "avif")
LOSSLESS = ("png", "webp", "gif")


# What comes back


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


# What it costs is said


def test_a_gif_says_what_it_costs() -> None:
    frames = walk(3)
    frames[1][..., 3] = 100
    writer = animation.writer("gif", 120, 96, Timing((33, 50, 5)), alpha=True)
    for frame in frames:
        writer.add(with_its_alpha(frame))
    writer.finish()
    said = " / ".join(writer.warnings)
    assert "256 colours" in said
    assert "semi-transparent" in said
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


def test_a_gif_has_the_colours_of_a_profile_that_it_cant_hold() -> None:
    swapped = icc.of_primaries(((0.30, 0.60), (0.64, 0.33), (0.15, 0.06)), icc.D65, icc.SRGB_CURVE)
    frame = np.full((4, 4, 4), (250, 20, 30, 255), np.uint8)
    data = written([frame, frame], "gif", metadata=Metadata(icc=swapped))
    red, green, blue = shown(read(data))[0][0, 0, :3].tolist()
    assert (abs(red - 20) < 3, abs(green - 250) < 3, abs(blue - 30) < 3) == (True, True, True)


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
