"""How long and how often animations play, and their background: read, and written."""

import struct
from dataclasses import replace

import pytest

import animations as made
from moving import (
    SIZE,
    few_colours,
    pillows,
    read,
    shown,
    walk,
    written,
)
from pictures import case
from sakuga_server.imaging import animation
from sakuga_server.imaging.animation import Timing

SEEDS = range(8)
FORMATS = ("png", "webp", "gif", "avif")
LOSSLESS = ("png", "webp", "gif")


# Read


@pytest.mark.parametrize(
    ("hundredths", "milliseconds"), [(0, 100), (1, 100), (2, 20), (10, 100), (65535, 655350)]
)
def test_gif_delays_are_those_that_browsers_show(hundredths: int, milliseconds: int) -> None:
    drawings = made.indexed(made.ops(0, 3), 0)
    data = made.gif([replace(op, milliseconds=hundredths * 10) for op in drawings], *SIZE)
    assert read(data).timing.durations == (milliseconds,) * 3


def test_a_gif_without_delays_has_those_of_browsers() -> None:
    drawings = made.indexed(made.ops(0, 3), 0)
    head = struct.pack("<6sHHBBB", b"GIF89a", *SIZE, 0, 0, 0)
    data = b"".join((head, *map(made.gif_image, drawings), b";"))
    assert read(data).timing == animation.Timing((100, 100, 100), 1)


def test_fractions_of_milliseconds_add_up() -> None:
    drawings = made.ops(0, 30)
    data = made.apng(drawings, *SIZE)
    for op in drawings:  # the denominators of fcTL
        data = data.replace(struct.pack(">HH", op.milliseconds, 1000), struct.pack(">HH", 1, 30))
    durations = read(made.fresh_checksums(data)).timing.durations
    assert sum(durations) == 1000
    assert set(durations) == {33, 34}


def test_a_denominator_of_0_means_hundredths() -> None:
    drawings = [replace(op, milliseconds=70) for op in made.ops(0, 3)]
    data = made.apng(drawings, *SIZE).replace(
        struct.pack(">HH", 70, 1000), struct.pack(">HH", 7, 0)
    )
    assert read(made.fresh_checksums(data)).timing.durations == (70, 70, 70)


@pytest.mark.parametrize(("repeats", "loop"), [(None, 1), (0, 0), (1, 2), (9, 10)])
def test_a_gif_counts_repetitions(repeats: int | None, loop: int) -> None:
    data = made.gif(made.indexed(made.ops(0, 3), 0), *SIZE, repeats=repeats)
    assert read(data).timing.loop == loop


@pytest.mark.parametrize("plays", [0, 1, 5])
def test_apng_and_webp_count_plays(plays: int) -> None:
    drawings = made.ops(0, 3, disposals=(made.KEEP,), step=2)
    assert read(made.apng(drawings, *SIZE, plays=plays)).timing.loop == plays
    assert read(made.webp(drawings, *SIZE, plays=plays)).timing.loop == plays


def test_the_background_of_a_webp_is_told() -> None:
    moving = read(made.webp(made.ops(0, 3, step=2, disposals=(made.KEEP,)), *SIZE))
    assert moving.timing.background == (30, 20, 10, 40)


def test_the_background_of_a_gif_is_transparent_as_browsers_have_it() -> None:
    moving = read(case("anim.gif"))
    assert moving.timing.background == (250, 230, 200, 0)


# Written


@pytest.mark.parametrize("format", FORMATS)
def test_every_frame_keeps_its_duration(format: str) -> None:
    durations = (40, 100, 70, 1000, 90)
    frames = [walk(1)[0]] * 5  # of which none changes anything
    data = written(frames, format, Timing(durations))
    assert read(data).timing.durations == durations
    assert len(shown(read(data))) == 5


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
