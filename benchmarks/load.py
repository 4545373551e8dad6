"""Many clients at once, with and without batching.

`python benchmarks/load.py [--model NAME] [--variant NAME] [--quick] [--out FOLDER]`; about
twenty-five minutes on two cores. With --variant only that one is measured again; the figures of
the others stay, and a note says so. --quick takes four minutes; its figures mean little and go to
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
from tritonclient.grpc.aio import InferenceServerClient
from upscale import Loop, drawn, served, temporary_repository

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
REMBG_VARIANTS = ("one by one", "batched, 500 µs")
FOR_P99 = 100  # pictures that it takes
NOTES = [
    "Every client sends its next picture when its last one is back (closed loop); all are tasks of "
    "one process on the same machine, which takes some of its cores. Latency is from the bytes of "
    "a PNG to the bytes of a PNG, including queues.",
    "Each variant has a new server. All{but} are measured in turn, and again in the opposite "
    "order; `of rounds` has the pictures a second of each round, whose spread is the machine's "
    "noise. Each server's first pictures, until all clients are busy, don't count.",
    f"p99 is left out with fewer than {FOR_P99} pictures.",
    "From Triton's statistics: `tiles a batch` is the network's inference count by its execution "
    "count, `wait` a tile's mean time in its queue, `a batch` and `a tile` its compute time; "
    "`worker wait` is a picture's mean time in the queues of the pipeline's workers.",
    "The batcher joins tiles of the same size only. In `upscale` a picture of up to 1024 pixels is "
    "one tile, so at most `server.upscale_workers` such pictures share a batch.",
]


@dataclass(frozen=True)
class Work:
    """What the clients request, and the Triton models that are concerned."""

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


def background_removal(side: int) -> Work:
    return Work("rembg", "u2net", side, {"alpha_matting": False}, (protocol.REMBG,))


@dataclass
class Point:
    """What was measured with one number of clients, in both rounds together."""

    latencies: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    """Pictures a second, of each round."""
    counted: dict[str, int] = field(default_factory=dict)
    """Sums of Triton's counters."""

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
        "worker_wait_ms": mean("pipeline", "pictures"),
    }


async def counters(images: Images, work: Work) -> dict[str, int]:
    """Triton's statistics of the network, and of the pipelines before and after it."""
    client = InferenceServerClient(await images.triton._address())
    answer = await client.get_inference_statistics()
    await client.close()
    models = {model.name: model for model in answer.model_stats}
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


def round_of(options: argparse.Namespace, plan: list[tuple[Work, str]], points: Points) -> None:
    """Each variant's server, with each number of clients; half of the pictures and seconds."""
    loop, pictures, most = Loop(), -(-options.pictures // 2), options.seconds / 2
    for work, variant in plan:
        config = set_up(work, variant)
        with temporary_repository(config), served(config, loop) as (images, _):
            loop(work.send(images, work.picture))
            for clients in options.clients:
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


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each action, variant and number of clients."""
    variants = [options.variant] if options.variant else VARIANTS
    plan = [(upscaling(options.model, options.side), variant) for variant in variants]
    if not options.variant:
        plan += [(background_removal(options.side), variant) for variant in REMBG_VARIANTS]
    points: Points = {}
    round_of(options, plan, points)
    round_of(options, plan[::-1], points)
    order = sorted(points, key=lambda key: (plan.index(key[:2]), key[2]))
    return [described(*key) | points[key].row for key in order]


def described(work: Work, variant: str, clients: int) -> dict[str, Any]:
    what = {"action": work.action, "model": work.model, "side": work.side, "variant": variant}
    settings = VARIANTS[variant]
    delay = settings["max_queue_delay_us"]
    limits = {"batch_limit": settings.get("batch"), "max_queue_delay_us": delay}
    return {**what, **limits, "clients": clients}


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
    "worker wait, ms": "{worker_wait_ms}",
}


def tables(rows: list[dict[str, Any]]) -> Iterator[str]:
    """A table for each action and variant."""
    for (action, model, side, variant), group in groupby(rows, key=heading):
        lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
        for row in group:
            cells = {name: "–" if value is None else value for name, value in row.items()}
            lines.append(f"| {' | '.join(text.format(**cells) for text in COLUMNS.values())} |")
        yield "\n".join([f"## {action}, {model}, {side}²: {variant}\n", *lines])


def heading(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("action", "model", "side", "variant"))


def notes(rows: list[dict[str, Any]]) -> list[str]:
    """The notes; they name the variants that were measured separately."""
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
    parser.add_argument("--side", type=int, default=256, help="side of the picture in pixels")
    parser.add_argument("--pictures", type=int, default=120, help="pictures a point")
    parser.add_argument("--seconds", type=float, default=40, help="longest time of a point")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument(
        "--variant", choices=VARIANTS, help="measure only this variant of `upscale`"
    )
    parser.add_argument("--quick", action="store_true", help="small pictures, few of them")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.quick:
        options.side, options.pictures, options.clients = 64, 20, (1, 4)
    return options


def main() -> None:
    options, about = arguments(), machine()
    if options.variant:
        before = json.loads((options.out / "load.json").read_text())
        rows = replaced(before["rows"], measure(options), about["date"])
        about = before["machine"]
    else:
        rows = measure(options)
    if not options.quick or options.out != RESULTS:
        found, table = {"rows": rows}, "\n\n".join(tables(rows))
        store("load", "Many clients", found, [table], notes(rows), about, options.out)


def replaced(
    before: list[dict[str, Any]], new: list[dict[str, Any]], day: str
) -> list[dict[str, Any]]:
    """The previous rows, with those that were measured again in their places."""
    later = {(*heading(row), row["clients"]): {**row, "apart": day} for row in new}
    return [later.get((*heading(row), row["clients"]), row) for row in before]


if __name__ == "__main__":
    main()
