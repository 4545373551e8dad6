"""Many clients at once, with and without batching; and how long the first picture takes.

`python benchmarks/load.py [--model NAME] [--variant NAME] [--quick] [--out FOLDER]`; about
twenty-five minutes on two cores. With --variant, one alone is measured anew, and the figures of the
others stay. With --quick it takes four, and its figures mean little: they go to FOLDER only.
"""

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import RESULTS, machine, seconds
from upscale import Loop, drawn, served

from networks_for_tests import PROJECT, repository_of
from pictures import encoded
from sakuga import Config, Images, load_config, wire
from sakuga_export import own, repository, upscalers
from sakuga_export.fetch import fetch
from sakuga_export.kinds import Upscaler
from sakuga_export.networks import by_name

SAKUGA = Path(sys.executable).with_name("sakuga")
CLIENTS = (1, 2, 4, 8, 16)
VARIANTS = {
    "one by one": {"batch": 1, "queue_delay": 0},
    "batched, no delay": {"queue_delay": 0},
    "batched, 500 µs": {"queue_delay": 500},
    "batched, 2000 µs": {"queue_delay": 2000},
    "batched, 5000 µs": {"queue_delay": 5000},
}  # of `server`
CUTOUT_VARIANTS = ("one by one", "batched, 500 µs")
STARTS = 3
FOR_P99 = 100  # pictures that it takes

# The peer's shortest way: a process that imports it, loads the weights, and enlarges one file. The
# two lines in between are what its unmaintained dependencies need; see tests/support/reference.py.
PEER = """
import sys, cv2
from sakuga_export.foreign import import_torchvision
kept = import_torchvision()
import torchvision.transforms.functional as functional
sys.modules["torchvision.transforms.functional_tensor"] = functional
from realesrgan import RealESRGANer
sys.path.insert(0, {support!r})
from reference import architecture
from sakuga_export.networks import by_name
net = architecture(by_name({model!r}))
peer = RealESRGANer(scale=4, model_path={weights!r}, model=net, tile=0, pre_pad=0, half=False)
cv2.imwrite({target!r}, peer.enhance(cv2.imread({source!r}, cv2.IMREAD_UNCHANGED))[0])
"""
NOTES = [
    "Every client sends its next picture once it has its last one back; all are tasks of one "
    "process on the same machine, which takes a part of its cores. Latency is from the bytes of a "
    "PNG to the bytes of a PNG, waiting included.",
    "Each variant has a server of its own. All are measured in turn, and once more in the opposite "
    "order; `of rounds` has the pictures a second of each, which tell what of a difference is the "
    "machine's. Each server's first pictures, until all clients are busy, don't count.",
    f"p99 is left out where there are fewer than {FOR_P99} pictures.",
    "From Triton's statistics: `tiles a batch` is inferences by executions of the network, `wait` "
    "a tile's mean wait for it, `a batch` and `a tile` what it took for them; `for a pipeline` is "
    "a picture's mean wait for a process that decodes or encodes it.",
    "Tiles are joined only if they have the same size. To `upscale`, a picture of up to 1024 "
    "pixels is one tile, so that of such pictures no more can be joined than there are pipelines.",
    "First pictures: new processes each time, whose files lie in the system's page cache; median "
    f"of {STARTS}. The two commands take turns, after an uncounted run of each. RealESRGANer's "
    "imports this project's list of networks, too, which is a fifth of a second.",
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


def enlarging(model: str, side: int) -> Work:
    return Work("upscale", model, side, {}, (wire.UPSCALE,))


def cutting(side: int) -> Work:
    steps = (wire.REMBG_PREPARE, wire.ALPHA_MATTING)
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
    network = models[wire.folder(work.model)]
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


@contextmanager
def place(settings: dict[str, Any], preload: Iterable[str] = ()) -> Iterator[Config]:
    """A folder with a config.yaml of its own, and a repository of links that is written from it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copy(PROJECT / "config.yaml", folder)
        config = load_config(folder / "config.yaml")
        here = repository_of(PROJECT / "model_repository", folder / "model_repository")
        for file in (PROJECT / "model_repository").glob(f"*/{own.FILE}"):
            shutil.copy(file, here / file.parent.name)
        config.server.repository, config.server.preload = here, list(preload)
        for name, value in settings.items():
            setattr(config.server, name, value)
        repository.write(here, config)
        yield config


Points = dict[tuple[Work, str, int], Point]


def round_of(asked: argparse.Namespace, plan: list[tuple[Work, str]], points: Points) -> None:
    """Each variant's server, with each number of clients; half of what is asked for."""
    loop, pictures, most = Loop(), -(-asked.pictures // 2), asked.seconds / 2
    for work, variant in plan:
        with (
            place(VARIANTS[variant], [work.model]) as config,
            served(config, loop) as (images, _),
        ):
            loop(work.send(images, work.picture))
            for clients in asked.clients:
                point = points.setdefault((work, variant, clients), Point())
                loop(drive(images, work, clients, pictures, most, point))
                print(f"{work.action}, {variant}, {clients} clients: {point.row}", flush=True)


def measure(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each kind of work, variant and number of clients."""
    plan = [(enlarging(asked.model, asked.side), variant) for variant in asked.variants]
    if asked.variants == VARIANTS:
        plan += [(cutting(asked.side), variant) for variant in CUTOUT_VARIANTS]
    points: Points = {}
    round_of(asked, plan, points)
    round_of(asked, plan[::-1], points)
    order = sorted(points, key=lambda key: (plan.index(key[:2]), key[2]))
    return [described(*key) | points[key].row for key in order]


def described(work: Work, variant: str, clients: int) -> dict[str, Any]:
    what = {"action": work.action, "model": work.model, "side": work.side, "variant": variant}
    settings = VARIANTS[variant]
    limit = {"batch_limit": settings.get("batch"), "queue_delay_us": settings["queue_delay"]}
    return {**what, **limit, "clients": clients}


def cold_server(model: str, side: int) -> dict[str, Any]:
    """From starting a server to its first picture."""
    work, loop = enlarging(model, side), Loop()
    picture = work.picture

    took: list[float] = []
    with place({}, [model]) as config:
        for _ in range(STARTS):
            start = time.perf_counter()
            with served(config, loop) as (images, _):
                loop(work.send(images, picture))
                took.append(time.perf_counter() - start)
    return cold_row("a server started, until its first picture is back", model, side, took)


def cold_row(what: str, model: str, side: int, took: list[float]) -> dict[str, Any]:
    middle = round(statistics.median(took), 2)
    row = {"what": what, "model": model, "side": side, "seconds": middle}
    row |= {"seconds_least": round(min(took), 2), "seconds_most": round(max(took), 2)}
    print(row, flush=True)
    return row


def cold_commands(model: str, side: int) -> list[dict[str, Any]]:
    """One picture by a command that starts a server, and by the peer's package, in turn."""
    taken: dict[str, list[float]] = {"`sakuga upscale --embedded`": [], "RealESRGANer": []}
    with place({}) as config:
        folder = config.server.repository.parent
        source = folder / "picture.png"
        source.write_bytes(encoded(drawn(side)))
        ours = [str(SAKUGA), "upscale", str(source), "-o", str(folder / "ours.png"), "--embedded"]
        commands = [[*ours, "--model", model], peer_command(model, source, folder)]
        runs = dict(zip(taken, commands, strict=True))
        for _ in range(STARTS + 1):  # the first one isn't counted
            for name, command in runs.items():
                taken[name].append(seconds(partial(finish, command, folder)))
    return [
        cold_row(f"one picture by {n}, until it ends", model, side, took[1:])
        for n, took in taken.items()
    ]


def finish(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def peer_command(model: str, source: Path, folder: Path) -> list[str]:
    network = by_name(model)
    assert isinstance(network, Upscaler)
    weights = folder / "weights.pth"
    state = upscalers.load(network, network.weights[0], fetch(network.weights[0]))
    torch.save({"params": dict(state)}, weights)
    paths = {"source": source, "target": folder / "peers.png", "weights": weights}
    paths["support"] = PROJECT / "tests" / "support"
    text = PEER.format(model=model, **{name: str(path) for name, path in paths.items()})
    return [sys.executable, "-c", text]


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
        yield f"## {action}, {model}, {side}²: {variant}\n"
        yield f"| {' | '.join(COLUMNS)} |"
        yield "|---" * len(COLUMNS) + "|"
        for row in group:
            told = {name: "–" if value is None else value for name, value in row.items()}
            yield f"| {' | '.join(text.format(**told) for text in COLUMNS.values())} |"
        yield ""


def heading(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("action", "model", "side", "variant"))


def write(target: Path, rows: list[dict[str, Any]], cold: list[dict[str, Any]]) -> None:
    """`load.md` for people, `load.json` for programs."""
    about = machine()
    target.mkdir(parents=True, exist_ok=True)
    everything = {"machine": about, "rows": rows, "cold": cold, "notes": NOTES}
    (target / "load.json").write_text(json.dumps(everything, indent=2) + "\n")
    text = [
        "# Many clients, and the first picture\n",
        ", ".join(f"{key} {value}" for key, value in about.items()) + ".\n",
        *tables(rows),
        "## The first picture\n",
        "| | model | input | seconds | from, to |",
        "|---|---|---|---|---|",
        *(
            f"| {r['what']} | {r['model']} | {r['side']}² | {r['seconds']} "
            f"| {r['seconds_least']}, {r['seconds_most']} |"
            for r in cold
        ),
        "",
        *(f"- {note}" for note in NOTES),
    ]
    (target / "load.md").write_text("\n".join(text) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=wire.canonical, default="realesr-animevideov3")
    parser.add_argument("--side", type=int, default=256, help="of the picture")
    parser.add_argument("--pictures", type=int, default=120, help="a point")
    parser.add_argument("--seconds", type=float, default=40, help="that a point takes at most")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--variant", choices=VARIANTS, help="to enlarge by this one alone")
    parser.add_argument("--quick", action="store_true", help="small pictures, few of them")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    asked.variants = {asked.variant: VARIANTS[asked.variant]} if asked.variant else VARIANTS
    if asked.quick:
        asked.side, asked.pictures, asked.clients = 64, 20, (1, 4)
    return asked


def main() -> None:
    asked = arguments()
    if asked.variant:
        before = json.loads((asked.out / "load.json").read_text())
        rows, cold = replaced(before["rows"], measure(asked)), before["cold"]
    else:
        cold = [cold_server(asked.model, asked.side), *cold_commands(asked.model, asked.side)]
        rows = measure(asked)
    if not asked.quick or asked.out != RESULTS:
        write(asked.out, rows, cold)


def replaced(before: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of before, with those that were measured anew in their places."""
    later = {(*heading(row), row["clients"]): row for row in new}
    return [later.get((*heading(row), row["clients"]), row) for row in before]


if __name__ == "__main__":
    main()
