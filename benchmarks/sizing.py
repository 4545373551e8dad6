"""What a node needs for each model: a server's memory, and the pictures a second it does; and the
cores beside one card.

`python benchmarks/sizing.py [--codecs]`; about five minutes on two cores, one with --codecs, which
measures the cores alone.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import encoding
from enhance import AURA, exported
from measure import store
from memory import family, high_water
from upscale import Loop, drawn, served, temporary_repository

from networks_for_tests import generated_aura
from pictures import encoded
from sakuga import Config, Images, load_config
from sakuga_core.actions import find
from sakuga_core.protocol import NETWORKS

CLIENTS = 2


@dataclass(frozen=True)
class Work:
    """What is requested of a server that has one model loaded."""

    action: str
    model: str
    pictures: int
    """That are counted; one goes before them."""
    options: dict[str, Any] = field(default_factory=dict)
    format: str = "PNG"
    side: int = 512

    @property
    def name(self) -> str:
        text = ", ".join(f"{name} {value}" for name, value in self.options.items())
        return f"{self.action}{' (' + text + ')' if text else ''}"


WORKS = [
    Work("upscale", "realesr-animevideov3", 12),
    Work("upscale", "realesrgan-x4plus-anime", 4),
    Work("rembg", "u2net", 12, {"alpha_matting": False}),
    Work("rembg", "u2net", 12, {"alpha_matting": True}),
    Work("fix_artifacts", "realesr-animevideov3", 8, {"scale": 2}, "JPEG"),
    Work("enhance", "aura-sr-v2", 2, side=256),
]
NOTES = [
    f"From {CLIENTS} clients on the same machine, after an uncounted picture.",
    "Idle and busy are the proportional set sizes (PSS) of all of the server's processes, before "
    "the first picture and at their peak, sampled ten times a second. `At most` is the sum of the "
    "processes' high-water marks, which counts shared pages more than once: an upper bound.",
    "aura-sr-v2 has generated weights of the published size.",
]


def proportional(process: int) -> float:
    """Gigabytes of a process and all its descendants; pages that they share count once."""
    held = 0
    for each in family(process):
        lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        held += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return held / 2**20


async def watched(process: int, most: list[float]) -> None:
    while True:
        most.append(await asyncio.to_thread(proportional, process))
        await asyncio.sleep(0.1)


async def drive(images: Images, work: Work, picture: bytes) -> float:
    """Pictures a second."""
    left = [picture] * work.pictures

    async def client() -> None:
        while left:
            await images.process(left.pop(), work.action, {"model": work.model, **work.options})

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return work.pictures / (time.perf_counter() - start)


async def busy(
    images: Images, work: Work, picture: bytes, process: int
) -> tuple[float, list[float]]:
    await images.process(picture, work.action, {"model": work.model, **work.options})
    most: list[float] = []
    watching = asyncio.ensure_future(watched(process, most))
    try:
        return await drive(images, work, picture), most
    finally:
        watching.cancel()


@contextmanager
def configured(work: Work) -> Iterator[Config]:
    if work.action != "enhance":
        yield load_config()
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        yield exported(generated_aura(folder, AURA), folder / "repository")


def measure(work: Work, loop: Loop) -> dict[str, Any]:
    picture = encoded(drawn(work.side), work.format)
    with configured(work) as config, temporary_repository(config):
        models = [NETWORKS, *find(work.action).models_for(work.model)]
        with served(config, loop, models) as (images, server):
            process = server.process.pid
            idle = proportional(process)
            rate, most = loop(busy(images, work, picture, process))
            bound = sum(high_water(each) for each in family(process))
    row = {"action": work.name, "model": work.model, "side": work.side, "rate": round(rate, 3)}
    memory = {"idle": idle, "busy": max(most), "bound": bound}
    row |= {f"{name}_gb": round(value, 2) for name, value in memory.items()}
    print(row, flush=True)
    return row


def table(rows: list[dict[str, Any]]) -> list[str]:
    return [
        "| action | model | input | pictures a second | idle, GB | busy, GB | at most, GB |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {r['action']} | {r['model']} | {r['side']}² | {r['rate']} "
            f"| {r['idle_gb']} | {r['busy_gb']} | {r['bound_gb']} |"
            for r in rows
        ),
    ]


def main(codecs_alone: bool) -> None:
    encoding.main()
    if codecs_alone:
        return
    loop = Loop()
    rows = [measure(work, loop) for work in WORKS]
    store("sizing", "What a node needs", {"rows": rows}, table(rows), NOTES)


if __name__ == "__main__":
    sys.exit(main("--codecs" in sys.argv))
