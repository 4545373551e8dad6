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
    fields = f"MemFree: 1 kB\nMemAvailable:    {8 * GB // 1024} kB\nBuffers: 2 kB\n"
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


def test_this_process_and_machine_have_some() -> None:
    before = memory.resident()
    with mmap.mmap(-1, 100_000_000) as pages:  # nobody had these before
        pages.write(b"x" * len(pages))
        assert memory.resident() - before > 90_000_000
    assert 0 < memory.available() < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
