"""Measuring side by side: alternating runs, medians, ratios; and tables of them."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    *("sakuga", "onnxruntime", "nvidia-pytriton", "torch", "numpy"),
    *(
        "pillow",
        "zlib-ng",
        "opencv-python-headless",
        "realesrgan",
        "rembg",
        "pymatting",
        "numba",
        "aura-sr",
    ),
    *(("openvino",) if find_spec("openvino") else ()),
)


@dataclass(frozen=True)
class Row:
    """One comparison."""

    what: str
    ours_s: float | None
    """Median seconds of ours…"""
    peer_s: float | None
    """…and of the peer, in the same run; None where nothing is timed."""
    ratio: float | None
    """Median of peer / ours, pair by pair: above 1, ours is faster."""
    quality: str
    """How far apart the two results are."""


def side_by_side(
    what: str,
    ours: Callable[[], object],
    peer: Callable[[], object],
    runs: int,
    quality: str = "",
    warm: bool = False,
) -> Row:
    """Runs both in turn, after one uncounted run of each, unless there was one already."""
    if not warm:
        ours(), peer()
    pairs = [(seconds(ours), seconds(peer)) for _ in range(runs)]
    ratio = statistics.median(theirs / mine for mine, theirs in pairs)
    mine, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    row = Row(what, round(mine, 3), round(theirs, 3), round(ratio, 2), quality)
    print(
        f"{what}: {row.ours_s} s against {row.peer_s} s, ratio {row.ratio}. {quality}", flush=True
    )
    return row


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@contextmanager
def one_core() -> Iterator[None]:
    """This process on one core, with the threads and processes that it starts meanwhile."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def difference(first: np.ndarray, second: np.ndarray) -> str:
    """The largest difference in levels, and the PSNR, of two 8-bit pictures."""
    apart = first.astype(np.float64) - second
    error = float(np.mean(apart**2))
    decibels = f"{10 * np.log10(255**2 / error):.1f} dB" if error else "identical"
    most = int(np.abs(apart).max())
    return f"at most {most} level{'s' * (most != 1)} apart, {decibels}"


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")
    bf16 = any("bf16" in line for line in lines)
    return {
        "date": date.today().isoformat(),
        "processor": f"{model}, {os.cpu_count()} cores, with{'' if bf16 else 'out'} bfloat16",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def write(name: str, title: str, peer: str, rows: Iterable[Row], notes: Iterable[str]) -> None:
    """Rows side by side with a peer, as `store` has them."""
    rows = list(rows)
    table = [
        f"| | Sakuga, s | {peer}, s | ratio | difference |",
        "|---|---|---|---|---|",
        *(
            f"| {r.what} | {r.ours_s or ''} | {r.peer_s or ''} | {r.ratio or ''} | {r.quality} |"
            for r in rows
        ),
    ]
    store(name, title, {"rows": [asdict(row) for row in rows]}, table, notes)


def store(
    name: str,
    title: str,
    found: Mapping[str, Any],
    table: Iterable[str],
    notes: Iterable[str],
    about: Mapping[str, str] | None = None,
    folder: Path = RESULTS,
) -> None:
    """`<name>.md` for people, `<name>.json` for programs.

    Args:
        found: what was measured.
        table: lines of Markdown that show it.
        notes: what has to be known of it.
        about: the machine; default: this one, today.
        folder: of the two files.
    """
    notes, about = list(notes), about or machine()
    folder.mkdir(parents=True, exist_ok=True)
    everything = {"machine": about, **found, "notes": notes}
    (folder / f"{name}.json").write_text(json.dumps(everything, indent=2) + "\n")
    text = [
        f"# {title}\n",
        ", ".join(f"{key} {value}" for key, value in about.items()) + ".\n",
        *table,
        "",
        *(f"- {note}" for note in notes),
    ]
    (folder / f"{name}.md").write_text("\n".join(text) + "\n")
