"""Thumbnails beside a large picture: how much longer they take.

`python benchmarks/fairness.py [--pictures N] [--megapixels N] [--out FOLDER]`; about
fifteen minutes on two cores.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from measure import RESULTS, machine, store
from upscale import Loop, drawn, served, temporary_repository

from pictures import encoded
from sakuga import Config, Images, load_config

CLIENTS = 16
WIDTH, HEIGHT = 128, 96
COLUMNS = {
    "action": "{action}, {model}",
    "large picture": "{megapixels} MP",
    "thumbnails": "{pictures}, twice",
    "alone: p50, p95": "{alone_p50_ms} ms, {alone_p95_ms} ms",
    "beside it: p50, p95": "{beside_p50_ms} ms, {beside_p95_ms} ms",
    "p95, ratio": "{ratio}",
    "the large one": "{large}",
}
NOTES = [
    f"Thumbnails of {WIDTH}x{HEIGHT} from {CLIENTS} clients, each of which sends its next one when "
    "its last one is back: first alone, then beside one large picture, which is sent before the "
    "first of them. Where it isn't done when the last thumbnail is, it is cancelled.",
    "Latency is from the bytes of a PNG to the bytes of a PNG, including queues. The server stands "
    "on the same machine, with config.yaml's settings but for the limits of the picture's size.",
]


@dataclass(frozen=True)
class Work:
    """What is requested."""

    action: str
    model: str
    options: dict[str, Any] = field(default_factory=dict)

    async def send(self, images: Images, picture: bytes) -> None:
        await images.process(picture, self.action, {"model": self.model, **self.options})


WORKS = (
    Work("upscale", "realesr-animevideov3", {"scale": 2}),
    Work("rembg", "u2net"),
)


async def latencies(images: Images, work: Work, pictures: int) -> list[float]:
    """Seconds of so many thumbnails."""
    picture = drawn(WIDTH)[:HEIGHT]
    thumbnails = iter([encoded(marked(picture, number)) for number in range(pictures)])
    taken: list[float] = []

    async def client() -> None:
        for picture in thumbnails:
            start = time.perf_counter()
            await work.send(images, picture)
            taken.append(time.perf_counter() - start)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return taken


def marked(picture: np.ndarray, number: int) -> np.ndarray:
    """A picture that no other one equals."""
    pixels = picture.copy()
    pixels[:8, :8] = np.frombuffer(number.to_bytes(192, "big"), np.uint8).reshape(8, 8, 3)
    return pixels


async def beside(
    images: Images, work: Work, large: bytes, pictures: int
) -> tuple[list[float], str]:
    """The same beside a large picture; and what became of that."""
    start = time.perf_counter()
    running = asyncio.create_task(work.send(images, large))
    await asyncio.sleep(0)  # it is sent first
    taken = await latencies(images, work, pictures)
    if not running.done():
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return taken, f"cancelled after {time.perf_counter() - start:.0f} s"
    await running
    return taken, f"done after at most {time.perf_counter() - start:.0f} s"


def measured(options: argparse.Namespace, work: Work) -> dict[str, Any]:
    """A row."""
    loop, config = Loop(), set_up(work, options.megapixels)
    large = encoded(drawn(round((options.megapixels * 1e6) ** 0.5)), compress_level=1)
    with temporary_repository(config), served(config, loop) as (images, _):
        loop(latencies(images, work, CLIENTS))
        alone = loop(latencies(images, work, options.pictures))
        taken, large_one = loop(beside(images, work, large, options.pictures))
    before, after = (np.percentile(each, (50, 95)) * 1000 for each in (alone, taken))
    row = {
        **{"action": work.action, "model": work.model, "megapixels": options.megapixels},
        "pictures": options.pictures,
        **dict(zip(("alone_p50_ms", "alone_p95_ms"), np.round(before).tolist(), strict=True)),
        **dict(zip(("beside_p50_ms", "beside_p95_ms"), np.round(after).tolist(), strict=True)),
        **{"ratio": round(after[1] / before[1], 2), "large": large_one},
    }
    print(row, flush=True)
    return row


def set_up(work: Work, megapixels: float) -> Config:
    """As config.yaml stands, but that such a picture is allowed."""
    config = load_config()
    config.server.preload = [work.model]
    config.limits.input_pixels = int(megapixels * 1.01e6)
    config.limits.output_pixels = 16 * config.limits.input_pixels
    return config


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=1000, help="thumbnails of a round")
    parser.add_argument("--megapixels", type=float, default=64, help="of the large picture")
    parser.add_argument("--action", choices=[work.action for work in WORKS], help="only this one")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    rows = [measured(options, w) for w in WORKS if options.action in (None, w.action)]
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    lines += [f"| {' | '.join(t.format(**row) for t in COLUMNS.values())} |" for row in rows]
    title = "Thumbnails beside a large picture"
    store("fairness", title, {"rows": rows}, ["\n".join(lines)], NOTES, machine(), options.out)


if __name__ == "__main__":
    main()
