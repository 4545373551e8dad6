"""What `gpu.py` found: as tables, as JSON, and against the goals."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gpu_measure import Row
from gpu_networks import ANIME, AURA
from gpu_plan import TIME_IS_UP, Case
from gpu_server import Served

# Goals for an H100 or H200.
CARDS = ("H100", "H200")
SHARE = 0.5
AURA_SECONDS, AURA_GB = 0.1, 1.5
LEVELS = 2

AURA_MIX = 16  # pixels over which neighbours mix; see the server's blending
AURA_PICTURE = 256

COLUMNS = (
    *("engine", "precision", "tile", "batch", "ms", "tiles/s", "TFLOP/s", "of the matrix rate"),
    *("peak, GB", "levels off", "PSNR, dB", "float32 on"),
)
NOTES = """
Times are medians of whole batches that lie on the device, without codecs, blending and Triton.
TFLOP/s count two operations a multiply-accumulate; their share is of the rate of large fp16 matrix
products on the same device. Torch runs channels last, in half precision with the first layer in
float32, as the exports have it. Its memory is what its allocator gave out at most, onnxruntime's
what the device's free memory fell by. Levels (of 255) and PSNR are differences to the same weights
in float32, tile by tile, on what the last column says.
"""
DRY = """
**A dry run on a CPU: no GPU was measured.** Every step ran with tiny tiles (and AuraSR with an
eighth of its channels), to show that the script is ready. No figure here says anything about a GPU.
"""


@dataclass
class Found:
    """All that is known so far."""

    machine: Mapping[str, str]
    matrix_tflops: float
    dry: bool = False
    weights: Mapping[str, str] = field(default_factory=dict)
    """Of each network: published or generated."""
    rows: list[Row] = field(default_factory=list)
    left_out: list[tuple[Case, str]] = field(default_factory=list)
    """With the reasons."""
    served: list[Served] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Goal:
    """A goal, and what was reached; `met` is None where nothing was measured."""

    goal: str
    figure: str
    met: bool | None


def goals(found: Found) -> list[Goal]:
    """They are set for two cards; of others there are none."""
    if not any(card in found.machine["device"] for card in CARDS):
        return []
    rows = [row for row in found.rows if row.case.precision == "fp16" and not row.failed]
    return [_anime(rows), _aura(rows), *_levels(rows)]


def _anime(rows: Iterable[Row]) -> Goal:
    text = f"{ANIME.name}, 1024²: at least {SHARE:.0%} of the card's matrix rate"
    of_goal = [r for r in rows if (r.case.network, r.case.side) == (ANIME.name, 1024)]
    if not of_goal:
        return Goal(text, "not measured", None)
    best = max(of_goal, key=lambda row: row.share)
    figure = f"{best.share:.1%}: {best.tflops:.0f} TFLOP/s, {best.tiles:.1f} pictures/s"
    return Goal(text, f"{figure} ({best.case.engine})", best.share >= SHARE)


def _aura(rows: Iterable[Row]) -> Goal:
    text = f"{AURA.name}, 256² to 1024²: under {AURA_SECONDS} s and {AURA_GB} GB"
    of_goal = [r for r in rows if (r.case.network, r.case.side) == (AURA.name, AURA.fixed)]
    if not of_goal:
        return Goal(text, "not measured", None)
    best = min(of_goal, key=lambda row: (row.peak_gb >= AURA_GB, picture_seconds(row)))
    took = picture_seconds(best)
    figure = f"{took:.3f} s, {best.peak_gb:.2f} GB ({best.case.engine}, batch {best.case.batch})"
    return Goal(text, figure, took < AURA_SECONDS and best.peak_gb < AURA_GB)


def picture_seconds(row: Row) -> float:
    """All tiles of a picture of 256² through AuraSR, in whole batches."""
    return -(-windows(AURA_PICTURE) // row.case.batch) * row.milliseconds / 1000


def windows(side: int, tile: int = 64) -> int:
    """Tiles of a square picture that overlap by AURA_MIX pixels."""
    along = max(1, -(-(side - AURA_MIX) // (tile - AURA_MIX)))
    return along * along


def _levels(rows: Iterable[Row]) -> Iterator[Goal]:
    worst: dict[str, tuple[float, str]] = {}
    for row in rows:
        if row.levels is not None:
            name = row.case.network
            worst[name] = max(worst.get(name, (0.0, "")), (row.levels, row.case.engine))
    for name, (levels, engine) in worst.items():
        figure = f"{levels:.3g} ({engine})"
        yield Goal(f"{name}: fp16 within {LEVELS} levels", figure, levels <= LEVELS)


def report(found: Found) -> list[str]:
    """The page, line by line."""
    title = "# Networks on a GPU: dry run" if found.dry else "# Networks on a GPU"
    lines = [title, DRY if found.dry else ""]
    about = {**found.machine, "fp16 matrix products": f"{found.matrix_tflops:.4g} TFLOP/s"}
    lines += [", ".join(f"{key} {value}" for key, value in about.items()) + "."]
    lines += [NOTES, *_goal_table(goals(found)), *_network_tables(found)]
    lines += [*_served_table(found.served), *_left_out(found)]
    return lines


def _goal_table(goals: Sequence[Goal]) -> Iterator[str]:
    verdicts = {True: "yes", False: "no", None: "–"}
    if goals:
        yield "## Goals\n\n| goal | measured | met |\n|---|---|---|"
    for goal in goals:
        yield f"| {goal.goal} | {goal.figure} | {verdicts[goal.met]} |"


def _network_tables(found: Found) -> Iterator[str]:
    for name in dict.fromkeys(row.case.network for row in found.rows):
        weights = found.weights.get(name, "")
        yield f"\n## {name}{f', in torch on {weights} weights' if weights else ''}\n"
        yield f"| {' | '.join(COLUMNS)} |"
        yield "|---" * len(COLUMNS) + "|"
        yield from (line(row) for row in found.rows if row.case.network == name)


def line(row: Row) -> str:
    """Of a network's table."""
    case = row.case
    start = f"| {case.engine} | {case.precision} | {case.side}² | {case.batch} |"
    if row.failed:
        return f"{start} {row.failed} {'|' * (len(COLUMNS) - 4)}"
    return f"{start} {' | '.join((*_speed(row), *_parity(row)))} |"


def _speed(row: Row) -> Iterator[str]:
    yield f"{row.milliseconds:.2f}"
    yield f"{row.tiles:.1f}"
    yield f"{row.tflops:.3g}" if row.tflops else "–"
    yield f"{row.share:.1%}" if row.tflops else "–"
    yield f"{row.peak_gb:.2f}" if row.peak_gb else "–"


def _parity(row: Row) -> Iterator[str]:
    same = row.levels is not None and row.decibels is None
    yield "–" if row.levels is None else f"{row.levels:.3g}"
    yield "the same" if same else "–" if row.decibels is None else f"{row.decibels:.1f}"
    yield row.against or "–"


def _served_table(rows: Sequence[Served]) -> Iterator[str]:
    if rows:
        yield "\n## End to end, PNG to PNG\n"
        yield "| network | picture | at once | pictures/s |\n|---|---|---|---|"
    for row in rows:
        yield f"| {row.network} | {row.side}² | {row.at_once} | {row.pictures:.2f} |"


def _left_out(found: Found) -> Iterator[str]:
    if not (found.left_out or found.notes):
        return
    yield "\n## Left out\n"
    yield from (f"- {note}" for note in found.notes)
    by_reason: dict[tuple[str, str], list[Case]] = {}
    for case, reason in found.left_out:
        by_reason.setdefault((case.engine, reason), []).append(case)
    for (engine, reason), cases in sorted(by_reason.items()):
        which = _named(cases) if reason == TIME_IS_UP else f"measurements: {len(cases)}"
        yield f"- {engine}: {reason} ({which})."


def _named(cases: Iterable[Case]) -> str:
    by_network: dict[str, list[str]] = {}
    for case in cases:
        shape = f"{case.precision} {case.side}²×{case.batch}"
        by_network.setdefault(case.network, []).append(shape)
    return "; ".join(f"{name} {', '.join(shapes)}" for name, shapes in by_network.items())


def write(folder: Path, found: Found) -> Path:
    """Writes the page and the JSON; a dry run's never lie where a GPU's do."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / ("gpu-dry-run.md" if found.dry else "gpu.md")
    text = "\n".join(report(found))
    page.write_text(text.replace("\n\n\n", "\n\n") + "\n", encoding="utf-8")
    page.with_suffix(".json").write_text(json.dumps(_numbers(found), indent=2) + "\n")
    return page


def _numbers(found: Found) -> dict[str, Any]:
    rows = []
    for row in found.rows:
        figures = asdict(row)
        rows.append({**figures.pop("case"), **figures})
    return {
        "machine": dict(found.machine),
        "matrix_tflops": found.matrix_tflops,
        "weights": dict(found.weights),
        "goals": [asdict(goal) for goal in goals(found)],
        "rows": rows,
        "left_out": [{**asdict(case), "reason": reason} for case, reason in found.left_out],
        "served": [asdict(row) for row in found.served],
        "notes": found.notes,
    }
