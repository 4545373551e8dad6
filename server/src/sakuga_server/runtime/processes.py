"""The processes of a running Triton, as Linux tells of them in /proc."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
# How Triton's Python backend calls its processes, and where in their arguments the model is.
STUB = "triton_python_backend_stub"
TRITON = "tritonserver"
CLOCK = os.sysconf("SC_CLK_TCK")


class Stub(NamedTuple):
    """A process of a model in Python."""

    pid: int
    model: str


def triton_of(guard: int) -> int | None:
    """The tritonserver that a guard runs; None: it is being started, or has ended."""
    for pid in children(guard):
        if Path(_arguments(pid)[0]).name == TRITON:
            return pid
    return None


def stubs_of(triton: int) -> Iterator[Stub]:
    """The Python processes of a Triton that run."""
    for pid in children(triton):
        words = _arguments(pid)
        if words[0].endswith(STUB) and len(words) > 1:
            yield Stub(pid, Path(words[1]).parts[-3])  # …/MODEL/1/model.py


def children(parent: int) -> list[int]:
    """The processes that another one has started and not yet waited for."""
    found: list[int] = []
    tasks = list((PROC / str(parent) / "task").glob("*/children"))  # each thread has its own
    for task in tasks:
        with suppress(OSError):  # the thread has ended
            found += map(int, task.read_text().split())
    return found if tasks else by_parent(parent)


def by_parent(parent: int) -> list[int]:
    """The same, by a look at all processes, where the kernel keeps no such list."""
    pids = [int(each.name) for each in PROC.glob("[0-9]*")]
    return [pid for pid in pids if _status(pid)[1:2] == [str(parent)]]


def exists(pid: int) -> bool:
    """Whether there is such a process, also one that has ended and wasn't waited for."""
    return (PROC / str(pid)).exists()


def is_zombie(pid: int) -> bool:
    """Whether a process has ended, and whoever started it hasn't waited for it."""
    return _status(pid)[:1] == ["Z"]


def cpu_seconds(pid: int) -> float:
    """Seconds of computing that a process has used; 0 once it has ended."""
    fields = _status(pid)
    return (int(fields[11]) + int(fields[12])) / CLOCK if fields else 0.0


def proportional_kilobytes(pid: int) -> int:
    """Memory of a process, pages that it shares counted in part.

    Raises:
        OSError: it has ended, or is another user's.
    """
    lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _status(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name; empty once it has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _arguments(pid: int) -> list[str]:
    try:
        return (PROC / str(pid) / "cmdline").read_text().split("\0")
    except OSError:
        return [""]
