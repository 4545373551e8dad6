"""Frames of one picture, some at once, in their order; a held one is worked on once."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing
from typing import Any

import numpy as np

from sakuga_server.imaging.picture import Array, Picture
from sakuga_server.pipelines.concurrency import in_order


async def in_turn(
    pictures: Iterator[Picture],
    work: Callable[[Picture], Awaitable[Picture]],
    at_once: int,
) -> AsyncGenerator[tuple[Picture, Picture], None]:
    """Each picture with its result, in order; when it is closed, no work goes on.

    Args:
        pictures: read when their turn comes.
        work: on one picture. One that equals the picture before it gets that one's result.
        at_once: how many pictures are worked on at once.
    """
    running: set[asyncio.Future[Picture]] = set()

    def begun() -> Iterator[Coroutine[Any, Any, tuple[Picture, Picture]]]:
        before: Picture | None = None
        for picture in pictures:
            if before is None or not is_same(picture, before):
                task = asyncio.ensure_future(work(picture))
                running.add(task)
                task.add_done_callback(running.discard)
            before = picture
            yield _shared(picture, task)

    try:
        async with aclosing(in_order(begun(), at_once)) as results:
            async for pair in results:
                yield pair
    finally:
        for task in tuple(running):
            task.cancel()
        await asyncio.gather(*tuple(running), return_exceptions=True)


async def _shared(picture: Picture, task: "asyncio.Future[Picture]") -> tuple[Picture, Picture]:
    """A result that several frames wait for: the end of one doesn't end the work."""
    return picture, await asyncio.shield(task)


def is_same(one: Picture, other: Picture) -> bool:
    """Whether two pictures have the same pixels."""
    return _equal(one.colour, other.colour) and _equal(one.alpha, other.alpha)


def _equal(one: Array | None, other: Array | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)
