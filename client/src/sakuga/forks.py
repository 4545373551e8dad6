"""What a process may use that was forked from one with a connection: nothing of that connection.

A fork copies neither the thread of an event loop nor gRPC's own, so calls would wait for ever.
"""

import os
from functools import cache


class Origin:
    """The process that something was made in."""

    def __init__(self) -> None:
        self.pid = os.getpid()

    def is_here(self) -> bool:
        return os.getpid() == self.pid

    def check(self) -> None:
        """
        Raises:
            RuntimeError: this is another process.
        """
        if not self.is_here():
            raise RuntimeError(
                "this process was forked from one that has connected, so it can't connect: connect "
                "only after the fork (under gunicorn in its workers, without preload_app or in "
                "post_fork), or start processes with multiprocessing's method 'spawn'"
            )


@cache
def grpc_origin() -> Origin:
    """The process that first had a channel of gRPC, also for those that are forked from it."""
    return Origin()
