"""How many requests each caller makes a minute, by a clock that nobody sets.

The library `limits` goes by the system's: set back by an hour, it would keep a caller out for one.
"""

import time
from collections import deque
from collections.abc import Callable

MINUTE = 60.0


class Rates:
    """Counts the requests of the last minute, by caller.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: dict[str, deque[float]] = {}
        self._swept = clock()

    def wait(self, caller: str, rate: int) -> float:
        """Seconds until a caller may send its next request; 0: this one counts, and may pass.

        Args:
            caller: its name, or its address.
            rate: requests that it may make a minute.
        """
        now = self._clock()
        self._sweep(now)
        times = self._times.setdefault(caller, deque())
        _forget(times, now)
        if len(times) >= rate:
            return times[-rate] + MINUTE - now
        times.append(now)
        return 0.0

    def _sweep(self, now: float) -> None:
        """Once a minute, forgets callers that have sent nothing since the last time."""
        if now - self._swept < MINUTE:
            return
        self._swept = now
        for caller, times in list(self._times.items()):
            _forget(times, now)
            if not times:
                del self._times[caller]


def _forget(times: deque[float], now: float) -> None:
    """Drops what is more than a minute ago."""
    while times and times[0] <= now - MINUTE:
        times.popleft()
