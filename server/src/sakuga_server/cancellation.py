"""Work whose caller has gone is stopped, between two of its steps."""

from collections.abc import Callable

from sakuga_core.errors import Cancelled


def stop_if(cancelled: Callable[[], bool]) -> None:
    """
    Args:
        cancelled: whether the caller has gone.

    Raises:
        Cancelled: it has.
    """
    if cancelled():
        raise Cancelled("the caller has gone; the work was stopped")
