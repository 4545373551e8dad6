"""Thousands of pictures while processes die, callers leave, queues fill and settings change: is
anything lost, and what stays behind?

`python benchmarks/soak.py [--pictures 2000] [--minutes N] [--calm] [--out FOLDER]`; about half an
hour on two cores. With --minutes it goes on until then; --calm does without faults.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measure import RESULTS, store
from upscale import drawn

from networks_for_tests import repository_of
from sakuga import Config, Images, Overloaded, connect, load_config
from sakuga_server.runtime import processes
from sakuga_server.runtime.embedded import free_port
from serving_for_tests import Serve, child, started

VIDEO, SEGMENTER = "realesr-animevideov3", "u2net"
CLIENTS, BURST, QUEUE = 8, 60, 16
PAUSE = 100  # pictures, after which all clients wait while the server is measured
WARM = 40  # pictures, always the same, before each sample
SETTLED = 90  # seconds after which a sample is taken though processes are missing, or too many
FIRST = 200  # pictures until everything is loaded and every kind of work was done
FAULTS = ("kill", "reload", "kill", "burst", "kill", "reload", "kill", "triton")
FAULT_EVERY, CANCEL_EVERY = 25, 20  # pictures
KILLED = (
    *("upscale", "realesr_animevideov3", "rembg", "fix_artifacts"),
    *("u2net", "networks", "upscale_stream", "rembg_stream"),
)
ACTIONS = ("upscale", "rembg", "upscale", "fix_artifacts", "upscale")
FORMATS = (".png", ".jpg", ".webp", ".bmp", ".png")
NOTES = [
    f"{CLIENTS} clients. Each picture, but for bursts, has a size that none before it had, from 24 "
    f"to 200 pixels a side; {', '.join(sorted(set(FORMATS)))}; upscale at 2x, rembg by "
    f"u2net, fix_artifacts at 2x. One in {CANCEL_EVERY} is cancelled, half of them follow their "
    "progress.",
    f"A fault every {FAULT_EVERY} pictures: a process of a random model is killed, Triton is, "
    f"config.yaml is edited, or {BURST} more pictures come at once, of which those beyond a queue "
    f"of {QUEUE} may be refused.",
    f"Every {PAUSE} pictures the clients pause until nothing is in flight, and the server has "
    f"replaced what was killed; then {WARM} pictures, always the same, are processed. Memory is "
    "the proportional set size of `sakuga serve` and of everything that it started.",
    "A picture is lost when its client gets an error, and wrong when the result isn't a file of "
    "the size that was asked for.",
]


@dataclass(frozen=True)
class Sample:
    """What the server had while nothing was in flight."""

    pictures: int
    minutes: float
    memory_mb: int
    shared_mb: int
    processes: int
    threads: int
    descriptors: int
    healed: int


@dataclass
class Soak:
    """A run: its server, its clients, and what became of the pictures."""

    serve: Serve
    images: Images
    most: int
    end: float
    calm: bool
    start: float = field(default_factory=time.monotonic)
    counts: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    in_flight: int = 0
    begun: int = 0
    models: Counter[str] = field(default_factory=Counter)
    """Processes of each model, before anything was killed."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def has_more(self) -> bool:
        return self.begun < self.most and time.monotonic() < self.end

    async def client(self) -> None:
        while self.has_more():
            await self.gate.wait()
            number, self.begun = self.begun, self.begun + 1
            await self.one(number)

    async def one(self, number: int, *, extra: bool = False) -> None:
        """Sends one picture, and counts what comes back."""
        self.in_flight += 1
        try:
            self.counts[await self._outcome(number, extra=extra)] += 1
        finally:
            self.in_flight -= 1

    async def _outcome(self, number: int, *, extra: bool) -> str:
        action, data, size, options = work(number)
        call = self.images.run(data, action, options, on_progress=self.followed(number))
        if not self.calm and not extra and number % CANCEL_EVERY == 0:
            return await cancelled(call, random.uniform(0, 0.5))
        try:
            result = (await call).result
        except Overloaded:
            return "refused"
        except Exception as error:
            self.errors.append(f"{number} {action}: {type(error).__name__}: {error}")
            return "lost"
        found = cv2.imdecode(np.frombuffer(result, np.uint8), cv2.IMREAD_UNCHANGED)
        return "done" if found is not None and found.shape[1::-1] == size else "wrong"

    async def faults(self) -> None:
        for number in range(10**9):
            while self.begun < (number + 1) * FAULT_EVERY:
                if not self.has_more():
                    return
                await asyncio.sleep(0.05)
            await self.gate.wait()
            await self.fault(FAULTS[number % len(FAULTS)], number)

    async def fault(self, kind: str, number: int) -> None:
        self.counts[f"fault: {kind}"] += 1
        if kind == "burst":
            await asyncio.gather(*(self.one(10**6 + n, extra=True) for n in range(BURST)))
        elif kind == "reload":
            write(self.serve, tile_size=256 + 32 * (number % 7))
        else:
            kill(self.serve, "tritonserver" if kind == "triton" else random.choice(KILLED))

    async def measure(self) -> None:
        """Pauses the clients now and then, and takes a sample."""
        for number in range(0, 10**9, PAUSE):
            while self.begun < number and self.has_more():
                await asyncio.sleep(0.05)
            self.gate.clear()
            while self.in_flight:
                await asyncio.sleep(0.05)
            await self.take_sample()
            print(self.samples[-1], dict(self.counts), flush=True)
            self.gate.set()
            if not self.has_more():
                return

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.measure())
            if not self.calm:
                group.create_task(self.faults())
            for _ in range(CLIENTS):
                group.create_task(self.client())
        await self.take_sample()

    async def take_sample(self) -> None:
        """Once the server is as before the last fault, and all of its processes have worked: one
        that was just started has less."""
        await self.settled()
        for first in range(0, WARM, CLIENTS):
            async with asyncio.TaskGroup() as group:
                for number in range(first, first + CLIENTS):
                    group.create_task(self.warm_up(number))
        await self.settled()
        self.samples.append(sample(self))

    async def warm_up(self, number: int) -> None:
        action, data, _, options = work(number)
        await self.images.run(data, action, options, on_progress=self.followed(number))

    @staticmethod
    def followed(number: int) -> Callable[[Any], None] | None:
        return (lambda _: None) if number % 2 else None

    async def settled(self) -> None:
        """Waits until each model has its processes, and what was killed has left none."""
        end = time.monotonic() + SETTLED
        while (found := _models(self.serve)) != (self.models or found) or not found:
            if time.monotonic() > end:
                self.errors.append(f"after {self.begun} pictures: {found - self.models} too many")
                return
            await asyncio.sleep(0.2)
        self.models = found


async def cancelled(call: Any, seconds: float) -> str:
    task = asyncio.ensure_future(call)
    await asyncio.wait([task], timeout=seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return "cancelled"


def work(number: int) -> tuple[str, bytes, tuple[int, int], dict[str, Any]]:
    """An action, a picture of a size of its own, the size of its result, options."""
    width, height = 24 + number % 177, 24 + (number * 7 + number // 177) % 177
    pixels = figure()[:height, :width]
    data = cv2.imencode(FORMATS[number % len(FORMATS)], pixels[..., ::-1])[1].tobytes()
    action = ACTIONS[number % len(ACTIONS)]
    scale = 1 if action == "rembg" else 2
    options: dict[str, Any] = {"format": "png", **({} if scale == 1 else {"scale": scale})}
    return action, data, (width * scale, height * scale), options


@cache
def figure() -> np.ndarray:
    return drawn(256)


def write(serve: Serve, tile_size: int = 256) -> None:
    """Replaces config.yaml."""
    video = {"model": VIDEO}
    blocks = {
        "providers": {"image": {"upscale": video, "fix_artifacts": video | {"inpaint": "opencv"}}},
        "rembg": {"model": SEGMENTER},
        "realesrgan": {"tile_size": tile_size},
        "server": {"url": serve.url, "repository": "repository"},
        "limits": {"queue_size": QUEUE},
    }
    new = serve.file.with_suffix(".new")
    new.write_text(json.dumps(blocks))
    new.replace(serve.file)


def kill(serve: Serve, name: str) -> None:
    """One process of a model, or Triton; none, if it is just being started."""
    triton = _triton(serve)
    if triton is None:
        return
    stubs = [stub.pid for stub in processes.stubs_of(triton) if stub.model == name]
    for pid in [triton] if name == "tritonserver" else stubs[-1:]:
        os.kill(pid, signal.SIGKILL)


def _models(serve: Serve) -> Counter[str]:
    triton = _triton(serve)
    return Counter(stub.model for stub in processes.stubs_of(triton)) if triton else Counter()


def _triton(serve: Serve) -> int | None:
    assert serve.process
    return processes.triton_of(child(serve.process.pid))


def sample(soak: Soak) -> Sample:
    assert soak.serve.process
    tree = list(_tree(soak.serve.process.pid))
    proc = [processes.PROC / str(pid) for pid in tree]
    (place,) = (soak.serve.folder / "cache/sakuga/repositories").glob("*/lock")
    segments = Path("/dev/shm").glob(f"sakuga-{place.parent.name}-*")
    return Sample(
        pictures=soak.begun,
        minutes=round((time.monotonic() - soak.start) / 60, 1),
        memory_mb=sum(map(_memory, tree)) >> 10,
        shared_mb=sum(each.stat().st_blocks for each in segments) >> 11,
        processes=len(tree),
        threads=sum(_count(each / "task") for each in proc),
        descriptors=sum(_count(each / "fd") for each in proc),
        healed=soak.serve.printed.count("was loaded again")
        + soak.serve.printed.count("it is started again"),
    )


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for each in processes.children(pid):
        if not processes.is_zombie(each):
            yield from _tree(each)


def _memory(pid: int) -> int:
    try:
        return processes.proportional_kilobytes(pid)
    except OSError:
        return 0


def _count(folder: Path) -> int:
    try:
        return len(os.listdir(folder))
    except OSError:
        return 0


def growth(samples: list[Sample]) -> float:
    """Of memory, in percent: the median of the last third against that of the first, each after
    FIRST pictures."""
    values = [each.memory_mb for each in samples if each.pictures >= FIRST]
    third = max(1, len(values) // 3)
    return 100 * (statistics.median(values[-third:]) / statistics.median(values[:third]) - 1)


def plot(samples: list[Sample], file: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    for name, words in (("memory_mb", "memory"), ("shared_mb", "of it in /dev/shm")):
        axes.plot(
            [s.pictures for s in samples], [getattr(s, name) for s in samples], ".-", label=words
        )
    axes.set(xlabel="pictures", ylabel="MB", ylim=(0, None))
    axes.legend(loc="lower right")
    figure.savefig(file, metadata={"Date": None})


def report(soak: Soak, left: list[str], folder: Path) -> None:
    columns = list(Sample.__dataclass_fields__)
    lost, wrong = soak.counts["lost"], soak.counts["wrong"]
    table = [
        f"**{soak.counts['done']} pictures done, {lost} lost, {wrong} wrong**; "
        f"{soak.counts['cancelled']} cancelled, {soak.counts['refused']} refused in bursts. "
        f"Memory after the first {FIRST}: {growth(soak.samples):+.1f} %. "
        f"Left behind: {', '.join(left) or 'nothing'}.\n",
        "![memory](soak.svg)\n",
        f"| {' | '.join(name.replace('_', ' ') for name in columns)} |",
        "|" + "---|" * len(columns),
        *(f"| {' | '.join(map(str, asdict(s).values()))} |" for s in soak.samples),
    ]
    found = {
        "counts": dict(soak.counts),
        "growth_percent": round(growth(soak.samples), 1),
        "errors": soak.errors,
        "left": left,
        "samples": [asdict(each) for each in soak.samples],
    }
    store("soak", "A long run with faults", found, table, NOTES, folder=folder)
    plot(soak.samples, folder / "soak.svg")


async def soaked(serve: Serve, arguments: argparse.Namespace) -> Soak:
    await started(serve)
    most = 10**9 if arguments.minutes else arguments.pictures
    end = time.monotonic() + 60 * (arguments.minutes or 10**6)
    async with connect(serve.file) as images:
        soak = Soak(serve, images, most, end, arguments.calm)
        await soak.run()
    return soak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--calm", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    random.seed(0)
    config: Config = load_config()
    with tempfile.TemporaryDirectory() as temporary:
        serve = Serve(Path(temporary), free_port())
        repository_of(config.server.repository, serve.folder / "repository")
        write(serve)
        soak = asyncio.run(soaked(serve, arguments))
        serve.end()
        left = [str(each) for each in Path("/dev/shm").glob(f"sakuga-{serve.process.pid}-*")]
        left += [each.name for each in (serve.folder / "cache/sakuga/repositories").glob("*/")]
    report(soak, left, arguments.out)
    print(serve.printed[-3000:])
    print("\n".join(soak.errors))


if __name__ == "__main__":
    main()
