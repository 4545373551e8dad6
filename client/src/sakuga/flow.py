"""How long a request may take, and how many are in flight."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sakuga.retry import Deadline
from sakuga.translation import late


@asynccontextmanager
async def within(deadline: Deadline, url: str) -> AsyncIterator[None]:
    """
    Raises:
        DeadlineExceeded: the block took longer.
    """
    try:
        async with asyncio.timeout(max(deadline.left, 0)):
            yield
    except TimeoutError:
        raise late(url) from None


class Slots:
    """Places for requests in flight; who finds none waits."""

    def __init__(self) -> None:
        self._current: tuple[int, asyncio.Semaphore] | None = None

    def one(self, count: int) -> asyncio.Semaphore:
        """To be held by a request.

        Args:
            count: of places; if it has changed, those who hold one of before aren't counted.
        """
        if self._current is None or self._current[0] != count:
            self._current = count, asyncio.Semaphore(count)
        return self._current[1]
