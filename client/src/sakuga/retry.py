"""How long a request may take, when it is sent again, and how many are in flight: one deadline, a
few attempts, a budget of retries and a number of slots for all requests."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from sakuga.translation import late
from sakuga_core.errors import SakugaError, ServerUnavailable, is_retryable

T = TypeVar("T")

log = logging.getLogger("sakuga")

# A retry costs a token, and each request earns a part of one: when all servers are down, retries
# add a fifth to their load, not a multiple. A new client starts with some.
PER_REQUEST, MOST = 0.2, 10.0

# Seconds: the longest pause before the first retry, which doubles each time, up to the last. The
# pause is drawn from zero on, so that clients which failed together don't come back together.
FIRST, LONGEST = 0.2, 5.0

# A server that has answered before, and doesn't, is being started again, or a process of it is.
# That is waited for so many seconds, with at most so many between two attempts: refused at once,
# they cost it nothing.
RECOVERY, AGAIN = 60.0, 1.0


@dataclass(frozen=True)
class Deadline:
    """The time by which a request has to be done: queue, connection, calls and retries included."""

    seconds: float
    """From the start."""
    start: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds left; negative once it is over."""
        return self.start + self.seconds - time.monotonic()

    @property
    def positive(self) -> float:
        """Seconds left, at least a thousandth, for what takes no less."""
        return max(self.left, 0.001)


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


@dataclass
class Budget:
    """The retries that one client may still make."""

    tokens: float = MOST

    def earn(self) -> None:
        """Counts a request."""
        self.tokens = min(MOST, self.tokens + PER_REQUEST)

    def spend(self) -> bool:
        """Pays for a retry; whether that was possible."""
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class Attempts:
    """The attempts of one request."""

    retries: int
    """How many there may be, after the first attempt."""
    deadline: Deadline
    budget: Budget
    made: int = 0
    failed: float | None = None
    """When the first attempt failed."""

    def pause(self, recovers: bool = False) -> float | None:
        """Seconds to wait before the next attempt; None if there is none.

        Args:
            recovers: whether the server is known, and should soon be there again.
        """
        self.failed = self.failed or time.monotonic()
        pause = random.uniform(0, min(LONGEST, FIRST * 2**self.made))
        waits = recovers and self.retries > 0 and time.monotonic() < self.failed + RECOVERY
        pause = min(pause, AGAIN) if waits else pause
        if pause >= self.deadline.left:
            return None
        if not waits and (self.made >= self.retries or not self.budget.spend()):
            return None
        self.made += 1
        return pause


async def repeated(
    call: Callable[[Deadline], Awaitable[T]],
    attempts: Attempts,
    url: str,
    is_known: Callable[[], bool] = lambda: False,
) -> T:
    """What a call gives; it is made again, where another attempt may succeed.

    Args:
        call: takes the deadline.
        url: of the server, for the log.
        is_known: whether that server has answered before.

    Raises:
        SakugaError: the last attempt's.
    """
    while True:
        try:
            return await call(attempts.deadline)
        except SakugaError as error:
            recovers = type(error) is ServerUnavailable and is_known()
            pause = attempts.pause(recovers) if is_retryable(error) else None
            if pause is None:
                raise
            log.info("attempt %d at %s: %s", attempts.made, url, error)
        await asyncio.sleep(pause)


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
