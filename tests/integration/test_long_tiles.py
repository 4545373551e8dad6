"""Work that takes a CPU many seconds, others beside it, and callers that go meanwhile, on a real
server."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from calls import until_begun
from networks_for_tests import EXPORTED, Bare, repository_of
from pictures import encoded, off, pixels_of, sample
from sakuga import Config, Images, connect
from sakuga_core.progress import Progress
from sakuga_core.protocol import folder
from sakuga_core.repository import writer
from sakuga_server.runtime.embedded import Embedded, run_triton
from sakuga_server.runtime.repository import bring_up

MODEL = EXPORTED[0]
TICKS = os.sysconf("SC_CLK_TCK")
LARGE = sample("heroine", (60, 60, 316, 252))
SMALL = sample("heroine", (100, 100, 148, 164))


@pytest.fixture(scope="module")
def config(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = Config()
    config.server.precision = "fp32"
    config.server.upscale_workers = 2
    config.server.repository = repository_of(served, tmp_path_factory.mktemp("long"))
    writer.write(config.server.repository, config)
    return config


@pytest.fixture(scope="module")
def expected(bare: dict[str, Bare]) -> np.ndarray:
    """What the network makes of the large picture."""
    return bare[MODEL](LARGE)


@pytest.fixture(scope="module")
def server(config: Config) -> Iterator[Embedded]:
    models = ["upscale", "rembg", "rembg_stream", "networks", folder(MODEL), "u2net", "isnet_anime"]
    with run_triton(config, models=models) as server:
        yield server


async def begun(images: Images) -> "asyncio.Future[bytes]":
    """The large picture, once it is being computed."""
    async with until_begun(images.triton, folder(MODEL)):
        return asyncio.ensure_future(images.process(encoded(LARGE), "upscale"))


async def test_a_small_picture_overtakes_a_large_one_and_both_are_right(
    config: Config, server: Embedded, bare: dict[str, Bare], expected: np.ndarray
) -> None:
    async with connect(config, url=server.url) as images:
        large = await begun(images)
        small = await images.process(encoded(SMALL), "upscale")
        assert not large.done()
        assert off(pixels_of(small), bare[MODEL](SMALL)) <= 1
        assert off(pixels_of(await large), expected) <= 1


def spent(server: Embedded) -> float:
    """Seconds of CPU that the server's processes have taken."""
    parents, ticks = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            process = int(stat.parent.name)
            parents[process], ticks[process] = int(fields[1]), int(fields[11]) + int(fields[12])
    family = {server.process.pid}
    while more := {p for p, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks[process] for process in family) / TICKS


async def until_idle(server: Embedded) -> float:
    """What they have taken once they take next to no more."""
    before, now = -1.0, spent(server)
    while now - before > 0.05:
        await asyncio.sleep(0.5)
        before, now = now, spent(server)
    return now


async def test_a_caller_that_has_gone_keeps_no_core_busy(config: Config, server: Embedded) -> None:
    async with connect(config, url=server.url) as images:
        start = await until_idle(server)
        await images.process(encoded(LARGE), "upscale")
        whole = await until_idle(server) - start
        start = spent(server)
        large = await begun(images)
        large.cancel()
        with pytest.raises(asyncio.CancelledError):
            await large
        assert await until_idle(server) - start < whole / 2


async def test_a_network_loaded_anew_meanwhile_computes_the_tile_again(
    config: Config, server: Embedded, expected: np.ndarray
) -> None:
    async with connect(config, url=server.url) as images:
        large = await begun(images)
        config.server.max_queue_delay_us += 1
        bring_up(server.repository, config)
        await server.control.load(folder(MODEL))
        assert not large.done()
        assert off(pixels_of(await large), expected) <= 1


GONE = {
    "a segmentation network": ("isnet-anime", {}, 1),
    "alpha matting": ("u2net", {"alpha_matting": True, "alpha_matting_erode_size": 100}, 2),
    "alpha matting by PyMatting": (
        "u2net",
        {"alpha_matting": True, "alpha_matting_erode_size": 60, "matting": "pymatting"},
        2,
    ),
}


@pytest.mark.parametrize("case", GONE)
async def test_a_caller_that_has_gone_frees_the_cores_within_two_seconds(
    config: Config, server: Embedded, case: str
) -> None:
    model, options, step = GONE[case]
    side, reached = 1024 if "PyMatting" in case else 2048, asyncio.Event()
    picture = encoded(cv2.resize(sample("heroine"), (side, side)))

    def on_progress(progress: Progress) -> None:
        if progress.done == step:
            reached.set()

    async with connect(config, url=server.url) as images:
        options = {"model": model, **options}
        call = images.process(picture, "rembg", options, on_progress=on_progress)
        work = asyncio.ensure_future(call)
        await reached.wait()
        start = spent(server)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert await until_idle(server) - start < 2 * len(os.sched_getaffinity(0))
        small = await images.process(encoded(SMALL), "rembg", {"model": "u2net"})
        assert pixels_of(small).shape == (*SMALL.shape[:2], 4)
