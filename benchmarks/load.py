"""Many clients at once, with and without batching.

`python benchmarks/load.py [--model NAME] [--variant NAME] [--quick] [--out FOLDER]`; about
twenty-five minutes on two cores. With --variant, one alone is measured anew, the figures of the
others stay, and a note says so. With --quick it takes four, and its figures mean little: they go to
FOLDER only.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from measure import RESULTS, machine, store
from upscale import Loop, drawn, own_repository, served

from pictures import encoded
from sakuga import Config, Images, load_config
from sakuga_core import protocol

CLIENTS = (1, 2, 4, 8, 16)
VARIANTS = {
    "one by one": {"batch": 1, "max_queue_delay_us": 0},
    "batched, no delay": {"max_queue_delay_us": 0},
    "batched, 500 µs": {"max_queue_delay_us": 500},
    "batched, 2000 µs": {"max_queue_delay_us": 2000},
    "batched, 5000 µs": {"max_queue_delay_us": 5000},
}  # of `server`
CUTOUT_VARIANTS = ("one by one", "batched, 500 µs")
FOR_P99 = 100  # pictures that it takes
NOTES = [
    "Every client sends its next picture once it has its last one back; all are tasks of one "
    "process on the same machine, which takes a part of its cores. Latency is from the bytes of a "
    "PNG to the bytes of a PNG, waiting included.",
    "Each variant has a server of its own. All{but} are measured in turn, and once more in the "
    "opposite order; `of rounds` has the pictures a second of each, which tell what of a "
    "difference is the machine's. Each server's first pictures, until all clients are busy, don't "
    "count.",
    f"p99 is left out where there are fewer than {FOR_P99} pictures.",
    "From Triton's statistics: `tiles a batch` is inferences by executions of the network, `wait` "
    "a tile's mean wait for it, `a batch` and `a tile` what it took for them; `for a pipeline` is "
    "a picture's mean wait for a process that decodes or encodes it.",
    "Tiles are joined only if they have the same size. To `upscale`, a picture of up to 1024 "
    "pixels is one tile, so that of such pictures no more can be joined than there are pipelines.",
]


@dataclass(frozen=True)
class Work:
    """What the clients ask for, and whom of Triton's models that concerns."""

    action: str
    model: str
    side: int
    options: dict[str, Any] = field(hash=False)
    pipelines: tuple[str, ...]

    @cached_property
    def picture(self) -> bytes:
        return encoded(drawn(self.side))

    async def send(self, images: Images, picture: bytes) -> None:
        await images.process(picture, self.action, {"model": self.model, **self.options})


def upscaling(model: str, side: int) -> Work:
    return Work("upscale", model, side, {}, (protocol.UPSCALE,))


def cutting(side: int) -> Work:
    steps = (protocol.REMBG_PREPARE, protocol.ALPHA_MATTING)
    return Work("rembg", "u2net", side, {"alpha_matting": False}, steps)


@dataclass
class Point:
    """What was seen of one number of clients, in both rounds together."""

    latencies: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    """Pictures a second, of each round."""
    counted: dict[str, int] = field(default_factory=dict)
    """Sums of Triton's own counters."""

    def add(self, times: list[tuple[float, float]], counted: dict[str, int]) -> None:
        """A round: when each picture was done, from the last uncounted one on, and its latency."""
        self.latencies += [latency for _, latency in times[1:]]
        self.rates.append((len(times) - 1) / (times[-1][0] - times[0][0]))
        for name, value in counted.items():
            self.counted[name] = self.counted.get(name, 0) + value

    @property
    def row(self) -> dict[str, Any]:
        count = len(self.latencies)
        p50, p95, p99 = (float(x) for x in np.percentile(self.latencies, (50, 95, 99)) * 1000)
        return {
            "pictures": count,
            "pictures_per_s": round(statistics.mean(self.rates), 2),
            "pictures_per_s_least": round(min(self.rates), 2),
            "pictures_per_s_most": round(max(self.rates), 2),
            "p50_ms": round(p50, 1),
            "p95_ms": round(p95, 1),
            "p99_ms": round(p99, 1) if count >= FOR_P99 else None,
            **of_network(self.counted),
        }


def of_network(counted: dict[str, int]) -> dict[str, float]:
    """Means, in milliseconds, of Triton's counters, which are in nanoseconds."""

    def mean(what: str, of: str) -> float:
        return round(counted[what] / max(counted[of], 1) / 1e6, 2)

    return {
        "tiles_per_batch": round(counted["tiles"] / max(counted["batches"], 1), 2),
        "network_wait_ms": mean("wait", "requests"),
        "network_batch_ms": mean("compute", "batches"),
        "network_tile_ms": mean("compute", "tiles"),
        "pipeline_wait_ms": mean("pipeline", "pictures"),
    }


async def counters(images: Images, work: Work) -> dict[str, int]:
    """Triton's statistics of the network, and of the pipelines before and after it."""
    told = await images.triton.client.get_inference_statistics()
    models = {model.name: model for model in told.model_stats}
    network = models[protocol.folder(work.model)]
    pipelines = [models[name].inference_stats for name in work.pipelines]
    return {
        "tiles": network.inference_count,
        "batches": network.execution_count,
        "requests": network.inference_stats.queue.count,
        "wait": network.inference_stats.queue.ns,
        # Of each batch once; `inference_stats` has a batch's time for each request in it.
        "compute": sum(size.compute_infer.ns for size in network.batch_stats),
        "pipeline": sum(each.queue.ns for each in pipelines),
        "pictures": pipelines[0].queue.count,
    }


async def drive(
    images: Images, work: Work, clients: int, pictures: int, most: float, point: Point
) -> None:
    """A round: all clients busy, until so many pictures, or seconds, have passed."""
    done: list[tuple[float, float]] = []
    picture, over = work.picture, asyncio.Event()

    async def client() -> None:
        while not over.is_set():
            start = time.perf_counter()
            await work.send(images, picture)
            end = time.perf_counter()
            done.append((end, end - start))

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
        first = await until(done, clients + 1)
        before = await counters(images, work)
        last = await until(done, first + pictures, most)
        after = await counters(images, work)
        over.set()
    point.add(done[first - 1 : last], {name: after[name] - before[name] for name in after})


async def until(done: list[Any], count: int, most: float = float("inf")) -> int:
    """Waits for so many, or so many seconds but one more at least; gives how many there are."""
    least, end = len(done) + 1, time.perf_counter() + most
    while len(done) < count and (len(done) < least or time.perf_counter() < end):
        await asyncio.sleep(0.005)
    return len(done)


Points = dict[tuple[Work, str, int], Point]


def round_of(asked: argparse.Namespace, plan: list[tuple[Work, str]], points: Points) -> None:
    """Each variant's server, with each number of clients; half of what is asked for."""
    loop, pictures, most = Loop(), -(-asked.pictures // 2), asked.seconds / 2
    for work, variant in plan:
        config = set_up(work, variant)
        with own_repository(config), served(config, loop) as (images, _):
            loop(work.send(images, work.picture))
            for clients in asked.clients:
                point = points.setdefault((work, variant, clients), Point())
                loop(drive(images, work, clients, pictures, most, point))
                print(f"{work.action}, {variant}, {clients} clients: {point.row}", flush=True)


def set_up(work: Work, variant: str) -> Config:
    """As config.yaml stands, but for the variant; the network is loaded from the start."""
    config = load_config()
    config.server.preload = [work.model]
    for name, value in VARIANTS[variant].items():
        setattr(config.server, name, value)
    return config


def measure(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each kind of work, variant and number of clients."""
    variants = [asked.variant] if asked.variant else VARIANTS
    plan = [(upscaling(asked.model, asked.side), variant) for variant in variants]
    if not asked.variant:
        plan += [(cutting(asked.side), variant) for variant in CUTOUT_VARIANTS]
    points: Points = {}
    round_of(asked, plan, points)
    round_of(asked, plan[::-1], points)
    order = sorted(points, key=lambda key: (plan.index(key[:2]), key[2]))
    return [described(*key) | points[key].row for key in order]


def described(work: Work, variant: str, clients: int) -> dict[str, Any]:
    what = {"action": work.action, "model": work.model, "side": work.side, "variant": variant}
    settings = VARIANTS[variant]
    limit = {"batch_limit": settings.get("batch"), "queue_delay_us": settings["max_queue_delay_us"]}
    return {**what, **limit, "clients": clients}


# The columns of the table, and the fields that they are made of.
COLUMNS = {
    "clients": "{clients}",
    "pictures a second": "{pictures_per_s}",
    "of rounds": "{pictures_per_s_least}, {pictures_per_s_most}",
    "p50, p95, p99 in ms": "{p50_ms}, {p95_ms}, {p99_ms}",
    "tiles a batch": "{tiles_per_batch}",
    "wait, ms": "{network_wait_ms}",
    "a batch, ms": "{network_batch_ms}",
    "a tile, ms": "{network_tile_ms}",
    "for a pipeline, ms": "{pipeline_wait_ms}",
}


def tables(rows: list[dict[str, Any]]) -> Iterator[str]:
    """A table for each kind of work and variant."""
    for (action, model, side, variant), group in groupby(rows, key=heading):
        lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
        for row in group:
            told = {name: "–" if value is None else value for name, value in row.items()}
            lines.append(f"| {' | '.join(text.format(**told) for text in COLUMNS.values())} |")
        yield "\n".join([f"## {action}, {model}, {side}²: {variant}\n", *lines])


def heading(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("action", "model", "side", "variant"))


def notes(rows: list[dict[str, Any]]) -> list[str]:
    """What is to be known of the rows; those that were measured apart are named."""
    apart = dict.fromkeys(
        f"{row['action']}, {row['variant']} (alone and later, on {row['apart']})"
        for row in rows
        if "apart" in row
    )
    but = f" but {' and '.join(apart)}" if apart else ""
    return [note.format(but=but) for note in NOTES]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=protocol.canonical, default="realesr-animevideov3")
    parser.add_argument("--side", type=int, default=256, help="of the picture")
    parser.add_argument("--pictures", type=int, default=120, help="a point")
    parser.add_argument("--seconds", type=float, default=40, help="that a point takes at most")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--variant", choices=VARIANTS, help="to upscale by this one alone")
    parser.add_argument("--quick", action="store_true", help="small pictures, few of them")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if asked.quick:
        asked.side, asked.pictures, asked.clients = 64, 20, (1, 4)
    return asked


def main() -> None:
    asked, about = arguments(), machine()
    if asked.variant:
        before = json.loads((asked.out / "load.json").read_text())
        rows = replaced(before["rows"], measure(asked), about["date"])
        about = before["machine"]
    else:
        rows = measure(asked)
    if not asked.quick or asked.out != RESULTS:
        found, table = {"rows": rows}, "\n\n".join(tables(rows))
        store("load", "Many clients", found, [table], notes(rows), about, asked.out)


def replaced(
    before: list[dict[str, Any]], new: list[dict[str, Any]], day: str
) -> list[dict[str, Any]]:
    """The rows of before, with those that were measured anew, apart from them, in their places."""
    later = {(*heading(row), row["clients"]): {**row, "apart": day} for row in new}
    return [later.get((*heading(row), row["clients"]), row) for row in before]


if __name__ == "__main__":
    main()
