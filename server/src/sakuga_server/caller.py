"""Who waits for the result of a request: whether they are still there, and how far it is."""

from collections.abc import Callable
from dataclasses import dataclass

from sakuga_core.progress import Progress
from sakuga_server.cancellation import stop_if


@dataclass(frozen=True)
class Caller:
    """Who waits for the result of a request."""

    cancelled: Callable[[], bool] = lambda: False
    """Whether the caller has gone."""
    progress: Callable[[Progress], object] = lambda progress: None
    """Takes how far the request is."""

    def stop_if_gone(self) -> None:
        """
        Raises:
            Cancelled: nobody waits for the result.
        """
        stop_if(self.cancelled)


NOBODY = Caller()
"""Who never goes, and needs no progress."""
