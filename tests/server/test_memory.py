"""How much memory is left."""

import mmap
import os
from pathlib import Path

import pytest

from sakuga_server import memory

GB = 2**30


def machine(folder: Path, files: dict[str, str]) -> Path:
    """A root with a /proc of a machine that has 8 GB left, and files below /sys/fs/cgroup."""
    (folder / "proc").mkdir()
    fields = (
        f"MemTotal: {16 * GB // 1024} kB\nMemAvailable:    {8 * GB // 1024} kB\nBuffers: 2 kB\n"
    )
    (folder / "proc/meminfo").write_text(fields)
    for name, text in files.items():
        file = folder / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


STAT = f"anon 5\ninactive_file {GB}\nactive_file 7\n"


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, 8),
        ({"memory.max": "max\n", "memory.current": "5\n", "memory.stat": STAT}, 8),
        ({"memory.max": f"{4 * GB}", "memory.current": f"{3 * GB}", "memory.stat": STAT}, 2),
        ({"memory.max": f"{4 * GB}", "memory.current": f"{6 * GB}", "memory.stat": STAT}, 0),
        (
            {
                "memory/memory.limit_in_bytes": f"{4 * GB}",
                "memory/memory.usage_in_bytes": f"{2 * GB}",
                "memory/memory.stat": STAT,
            },
            3,
        ),
        ({"memory/memory.limit_in_bytes": f"{2**63 - 4096}", "memory/memory.stat": STAT}, 8),
    ],
)
def test_a_containers_limit_counts_too(tmp_path: Path, files: dict[str, str], left: int) -> None:
    assert memory.available(machine(tmp_path, files)) == left * GB


@pytest.mark.parametrize(
    ("group", "place"),
    [
        ("0::/user.slice/sakuga.service", "user.slice/sakuga.service/memory.{}"),
        ("0::/user.slice/sakuga.service", "user.slice/memory.{}"),
        ("0::/", "memory.{}"),
        ("0::/docker/of-the-host", "memory.{}"),
    ],
    ids=["own", "above", "top", "container"],
)
def test_a_limit_counts_of_whichever_group_around_the_process(
    tmp_path: Path, group: str, place: str
) -> None:
    values = {"max": 4 * GB, "current": 3 * GB, "stat": STAT}
    root = machine(tmp_path, {place.format(name): f"{value}" for name, value in values.items()})
    (root / "proc/self").mkdir()
    (root / "proc/self/cgroup").write_text(f"1:cpu,cpuacct:/other\n{group}\n")
    assert (memory.available(root), memory.total(root)) == (2 * GB, 4 * GB)


def test_without_a_limit_the_machine_has_what_it_has(tmp_path: Path) -> None:
    assert memory.total(machine(tmp_path, {"memory.max": "max\n"})) == 16 * GB


def test_this_process_and_machine_have_some() -> None:
    before = memory.resident()
    with mmap.mmap(-1, 100_000_000) as pages:  # nobody had these before
        pages.write(b"x" * len(pages))
        assert memory.resident() - before > 90_000_000
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory.available() < memory.total() <= physical
