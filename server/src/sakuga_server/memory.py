"""Memory that this process has, and that the machine, or its container, has in all and has left."""

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Timer

IDLE = 1.0  # seconds without a request, after which memory is given back
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


class TrimWhenIdle:
    """Gives the system back what requests have freed, once none has ended for some seconds."""

    def __init__(self) -> None:
        self.timer: Timer | None = None

    def request_ended(self) -> None:
        if self.timer:
            self.timer.cancel()
        self.timer = Timer(IDLE, trim)
        self.timer.daemon = True
        self.timer.start()


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
