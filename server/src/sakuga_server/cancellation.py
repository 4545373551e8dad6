"""Work whose caller has gone is stopped, between two of its steps."""

from collections.abc import Callable
from threading import Lock
from time import monotonic

from sakuga_core.errors import Cancelled

INTERVAL = 0.2  # seconds between two questions about a caller


def stop_if(cancelled: Callable[[], bool]) -> None:
    """
    Args:
        cancelled: whether the caller has gone.

    Raises:
        Cancelled: it has.
    """
    if cancelled():
        raise Cancelled("the caller disconnected; the work was stopped")


class CallerWatch:
    """Whether a caller has gone, asked of Triton now and then, and only while the request runs.

    A question costs a round trip between processes. One about a request that Triton has finished
    reads freed memory there and ends the server, so none may come from a thread that works on.

    Args:
        ask: Triton's `request.is_cancelled`.
    """

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask, self._next, self._gone = ask, monotonic() + INTERVAL, False
        self._open, self._lock = True, Lock()

    def __call__(self) -> bool:
        """As of the last question."""
        with self._lock:
            if self._open and not self._gone and monotonic() >= self._next:
                self._gone = self._ask()
                self._next = monotonic() + INTERVAL
            return self._gone

    def close(self) -> None:
        """Ends the questions; whoever still works then has nobody to work for."""
        with self._lock:
            self._open, self._gone = False, True
