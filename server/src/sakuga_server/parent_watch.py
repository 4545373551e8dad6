"""Ends this process when Triton ends, which otherwise may leave its Python processes waiting.

Every model of the Python backend, pipelines and stand-ins alike, starts this watch. Triton's own
check sees a parent that is gone, but not one that is killed and that nobody has waited for.

A process of a model that is loaded while Triton serves also has the connections of Triton's HTTP
clients, because Triton doesn't mark these as close-on-exec. They are closed here: otherwise such a
client, Prometheus for example, wouldn't notice when Triton closes the connection, or ends.
"""

import os
import select
import socket
import threading
from contextlib import suppress
from pathlib import Path

PREFIX = "SAKUGA_SHM_PREFIX"  # environment variable: how the server's segments of memory are called
SHARED_MEMORY = Path("/dev/shm")


def end_with_parent(is_server: bool = True) -> None:
    """Starts the watch, unless Linux is too old for it (5.3 has what it takes).

    Args:
        is_server: whether the parent is Triton, whose shared memory goes with it.
    """
    if is_server:
        close_inherited_sockets()
    with suppress(OSError, AttributeError):
        parent = os.pidfd_open(os.getppid())
        arguments = (parent, is_server)
        threading.Thread(target=_wait, args=arguments, daemon=True, name="parent-watch").start()


def close_inherited_sockets() -> None:
    """Closes Triton's connections in this process, which has none of its own yet."""
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # it was that of the listing, or is no socket
            inherited = socket.socket(fileno=int(name))
            if inherited.family in (socket.AF_INET, socket.AF_INET6):
                inherited.close()
            else:
                inherited.detach()


def _wait(parent: int, is_server: bool) -> None:
    poll = select.poll()
    poll.register(parent, select.POLLIN)
    poll.poll()
    if is_server:
        unlink_segments()
    os._exit(1)


def unlink_segments() -> None:
    """Removes the names of the server's shared memory; other processes of it keep what they have,
    and will end as this one does."""
    prefix = os.environ.get(PREFIX)
    for segment in SHARED_MEMORY.glob(f"{prefix}*") if prefix else ():
        with suppress(OSError):
            segment.unlink()
