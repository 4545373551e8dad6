"""Coroutines that run at once, of which none outlives its picture."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def all_or_none(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Runs them all; the first failure stops the rest, so no tile outlives its picture."""
    tasks = [asyncio.ensure_future(w) for w in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def in_order(work: Iterable[Coroutine[Any, Any, T]], at_once: int) -> AsyncGenerator[T, None]:
    """Runs them, so many at once, and gives their results in order; when it is closed, none runs
    on."""
    tasks: deque[asyncio.Future[T]] = deque()
    try:
        for each in work:
            tasks.append(asyncio.ensure_future(each))
            if len(tasks) == at_once:
                yield await tasks.popleft()
        while tasks:
            yield await tasks.popleft()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
