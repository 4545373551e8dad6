"""Memory that this process has, and that the machine, or its container, has left."""

import os
import re
from contextlib import suppress
from pathlib import Path

# Below /sys/fs/cgroup, a container's limit and use, as version 2 of cgroups and version 1 have it.
LIMITS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def resident() -> int:
    """Bytes that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def available(root: Path = Path("/")) -> int:
    """Bytes that can be had before the system has to swap or kill, by Linux's estimate.

    Args:
        root: where /proc and /sys lie.
    """
    cgroups = root / "sys/fs/cgroup"
    left = [1024 * _field(root / "proc/meminfo", "MemAvailable:")]
    for limit, usage in LIMITS:
        with suppress(OSError, ValueError):  # there is none, or it is "max"
            left.append(_left(cgroups / limit, cgroups / usage))
    return max(0, min(left))


def _left(limit: Path, usage: Path) -> int:
    # Files that were read count as used, and give way to everything else.
    files = _field(usage.with_name("memory.stat"), "inactive_file")
    return int(limit.read_text()) - int(usage.read_text()) + files


def _field(file: Path, name: str) -> int:
    found = re.search(rf"^{name}\s+(\d+)", file.read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
