"""Frames in parallel, in their order, and held ones once."""

import asyncio
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from sakuga import ServerError
from sakuga_server.imaging.picture import Picture
from sakuga_server.pipelines.frames import in_turn, is_same


def frames(*values: int) -> Iterator[Picture]:
    for value in values:
        yield Picture(np.full((4, 4, 3), value, np.uint8))


def value(picture: Picture) -> int:
    return int(picture.colour[0, 0, 0])


class Slow:
    """Negates a frame, once it is allowed to."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.go: dict[int, asyncio.Event] = {}
        self.ended: list[int] = []

    async def __call__(self, picture: Picture) -> Picture:
        number = value(picture)
        self.begun.append(number)
        self.go[number] = asyncio.Event()
        try:
            await self.go[number].wait()
            return Picture(255 - picture.colour)
        finally:
            self.ended.append(number)


async def test_results_come_in_order_whichever_is_ready_first() -> None:
    work, found = Slow(), []

    async def take() -> None:
        async for picture, result in in_turn(frames(1, 2, 3), work, 3):
            found.append((value(picture), value(result)))

    taking = asyncio.ensure_future(take())
    while len(work.begun) < 3:
        await asyncio.sleep(0)
    for number in (3, 1, 2):
        work.go[number].set()
        await asyncio.sleep(0)
    await taking
    assert found == [(1, 254), (2, 253), (3, 252)]


async def test_a_held_frame_is_worked_on_once() -> None:
    done = 0

    async def work(picture: Picture) -> Picture:
        nonlocal done
        done += 1
        return picture

    held = [value(r) async for _, r in in_turn(frames(1, 1, 1, 2, 2, 1), work, 2)]
    assert (held, done) == ([1, 1, 1, 2, 2, 1], 3)


async def test_no_more_frames_are_read_than_are_worked_on() -> None:
    work, read = Slow(), 0

    def counted() -> Iterator[Picture]:
        nonlocal read
        for picture in frames(*range(50)):
            read += 1
            yield picture

    async def take() -> None:
        async for _ in in_turn(counted(), work, 4):
            pass

    taking = asyncio.ensure_future(take())
    for number in range(50):
        while number not in work.go:
            await asyncio.sleep(0)
        assert read <= number + 5
        work.go[number].set()
    await taking


async def test_the_first_failure_ends_the_others() -> None:
    work = Slow()

    async def fails_at_2(picture: Picture) -> Picture:
        if value(picture) == 2:
            raise ServerError("broken")
        return await work(picture)

    async def take() -> None:
        async for _ in in_turn(frames(1, 2, 3), fails_at_2, 3):
            pass

    taking = asyncio.ensure_future(take())
    while len(work.begun) < 2:
        await asyncio.sleep(0)
    work.go[1].set()
    with pytest.raises(ServerError):
        await taking
    assert sorted(work.ended) == [1, 3]


async def test_whoever_stops_listening_ends_the_work() -> None:
    work = Slow()
    results = in_turn(frames(1, 2, 3), work, 3)
    listening = asyncio.ensure_future(anext(results))
    while len(work.begun) < 3:
        await asyncio.sleep(0)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await results.aclose()
    assert sorted(work.ended) == [1, 2, 3]


async def test_results_arent_held_once_they_are_given() -> None:
    async def work(picture: Picture) -> Picture:
        return Picture(picture.colour.copy())

    alive: list[weakref.ref[np.ndarray]] = []
    async for _, result in in_turn(frames(*range(20)), work, 2):
        alive.append(weakref.ref(result.colour))
        assert sum(each() is not None for each in alive) <= 4


def test_pictures_are_the_same_only_with_the_same_alpha() -> None:
    colour, alpha = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8)
    assert is_same(Picture(colour, alpha), Picture(colour.copy(), alpha.copy()))
    assert not is_same(Picture(colour, alpha), Picture(colour))
    assert not is_same(Picture(colour, alpha), Picture(colour, alpha + 1))
    assert not is_same(Picture(colour), Picture(colour + 1))
