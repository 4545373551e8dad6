"""Memory that this process has, and that the machine, or its container, has in all and has left."""

import ctypes
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, Timer

# The folder of control groups below /sys/fs/cgroup, and a group's limit and use, as version 2 of
# cgroups and version 1 have them.
VERSIONS = {
    "": (".", "memory.max", "memory.current"),
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
}


def resident() -> int:
    """Bytes that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def trim() -> None:
    """Gives the system back what was freed. By itself, glibc keeps what lies between blocks in use:
    gigabytes, in a process that has held many large arrays."""
    with suppress(AttributeError):  # musl has none, and needs none
        ctypes.CDLL(None).malloc_trim(0)


class Idle:
    """Has memory given back once nothing was in use for some time.

    Args:
        release: gives it back.
        seconds: without use.
        with_plenty: the same, where others could have twice what this process has; if unset, as
            `seconds`.
    """

    def __init__(
        self, release: Callable[[], None], seconds: float, with_plenty: float | None = None
    ) -> None:
        self.release, self.seconds = release, seconds
        self.with_plenty = seconds if with_plenty is None else with_plenty
        self.lock = Lock()
        self.last = 0.0
        self.timer: Timer | None = None

    @contextmanager
    def use(self) -> Iterator[None]:
        """While this lasts, nothing is released."""
        with self.lock:
            try:
                yield
            finally:  # what was cancelled has its memory, too
                self.last = time.monotonic()
                if self.timer is None:
                    self._wait(self.seconds)

    def _wait(self, seconds: float) -> None:
        self.timer = Timer(seconds, self._look)
        self.timer.daemon = True
        self.timer.start()

    def _look(self) -> None:
        with self.lock:
            idle = time.monotonic() - self.last
            if idle >= (self.with_plenty if _is_plenty() else self.seconds):
                self.timer = None
                self.release()
            else:
                self._wait(max(self.seconds - idle, self.seconds / 5))


def _is_plenty() -> bool:
    """Whether others could have twice what this process has."""
    return available() > 2 * resident()


def available(root: Path = Path("/")) -> int:
    """Bytes that can be had before the system has to swap or kill, by Linux's estimate.

    Args:
        root: where /proc and /sys lie.
    """
    left = [1024 * _field(root / "proc/meminfo", "MemAvailable:")]
    for limit, usage in _limits(root):
        with suppress(OSError, ValueError):  # there is none, or it is "max"
            left.append(_left(limit, usage))
    return max(0, min(left))


def total(root: Path = Path("/")) -> int:
    """Bytes that the machine has, or those that a control group, such as a container's, leaves to
    this process and others.

    Args:
        root: where /proc and /sys lie.
    """
    sizes = [1024 * _field(root / "proc/meminfo", "MemTotal:")]
    for limit, _ in _limits(root):
        with suppress(OSError, ValueError):
            sizes.append(int(limit.read_text()))
    return min(sizes)


def _limits(root: Path) -> Iterator[tuple[Path, Path]]:
    """The files with the limit and the use of each control group around this process: its own, as
    systemd makes one for a service, and those above it. In a container, all that can be seen is the
    container's, at the top."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = [f"0:{controller}:/" for controller in VERSIONS]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in VERSIONS.keys() & controllers.split(","):
            folder, limit, usage = VERSIONS[controller]
            group = Path(path.lstrip("/"))
            for each in (group, *group.parents):
                place = root / "sys/fs/cgroup" / folder / each
                yield place / limit, place / usage


def _left(limit: Path, usage: Path) -> int:
    # Files that were read count as used, and give way to everything else.
    files = _field(usage.with_name("memory.stat"), "inactive_file")
    return int(limit.read_text()) - int(usage.read_text()) + files


def _field(file: Path, name: str) -> int:
    found = re.search(rf"^{name}\s+(\d+)", file.read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
