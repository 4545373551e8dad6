"""Pictures through the embedded server on a GPU, end to end, where Sakuga's packages import."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from gpu_layers import PROJECT
from gpu_networks import ANIME, VIDEO, drawn

SIDES, AT_ONCE, RUNS = (256, 1024), (1, 8), 5
TINY_SIDES, TINY_AT_ONCE, TINY_RUNS = (8,), (1, 2), 1


@dataclass(frozen=True)
class Served:
    """Pictures through the embedded server: from a PNG's bytes to a PNG's."""

    network: str
    side: int
    at_once: int
    pictures: float
    """A second, median."""


def served(repository: Path, dry: bool) -> list[Served]:
    """
    Raises:
        ImportError: a package is missing, or onnxruntime's build has no CUDA.
    """
    import onnxruntime

    from sakuga import load_config
    from sakuga_server.runtime.embedded import free_port, run_triton

    if not dry and "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise ImportError("onnxruntime has no CUDA here; onnxruntime-gpu has")
    config = load_config(PROJECT / "config.yaml")
    config.server.repository = repository
    sides, at_once = (TINY_SIDES, TINY_AT_ONCE) if dry else (SIDES, AT_ONCE)
    with run_triton(config, free_port()) as server:
        rows = rates(config, server.url, sides, at_once, TINY_RUNS if dry else RUNS)
        return asyncio.run(listed(rows))


async def listed(rows: AsyncIterator[Served]) -> list[Served]:
    return [row async for row in rows]


async def rates(
    config: Any, url: str, sides: Sequence[int], at_once: Sequence[int], runs: int
) -> AsyncIterator[Served]:
    from sakuga import connect

    async with connect(config, url=url) as images:
        for network, side, count in product((ANIME.name, VIDEO.name), sides, at_once):
            send = partial(images.process, png(side), "upscale", {"model": network})
            times = [await seconds(send, count) for _ in range(runs + 1)]
            yield Served(network, side, count, count / statistics.median(times[1:]))


async def seconds(send: Callable[[], Awaitable[object]], at_once: int) -> float:
    start = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(at_once)))
    return time.perf_counter() - start


def png(side: int) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", drawn(1, side)[0].numpy())[1])
