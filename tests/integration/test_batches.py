"""Triton's dynamic batcher under eight clients."""

import asyncio
from pathlib import Path

from networks_for_tests import EXPORTED, repository_of
from pictures import encoded, sample
from sakuga import Config, connect
from sakuga_core.protocol import folder
from sakuga_core.repository import writer
from sakuga_server.runtime.embedded import run_triton

MODEL = EXPORTED[1]
CLIENTS, PICTURES, LARGEST = 8, 4, 4


async def test_eight_clients_fill_the_batches(served: Path, tmp_path: Path) -> None:
    config = Config()
    config.server.upscale_workers, config.server.batch = CLIENTS, LARGEST
    config.server.max_queue_delay_us = 300_000
    config.server.repository = repository_of(served, tmp_path / "repository")
    writer.write(config.server.repository, config)
    picture = encoded(sample("heroine", (100, 100, 260, 260)))
    with run_triton(config, models=["upscale", "networks", folder(MODEL)]) as server:
        async with connect(config, url=server.url) as images:

            async def client() -> None:
                for _ in range(PICTURES):
                    await images.process(picture, "upscale", {"model": MODEL})

            await asyncio.gather(*(client() for _ in range(CLIENTS)))
            counted = (await images.triton.status())["models"][folder(MODEL)]
    assert counted["images"] == CLIENTS * PICTURES
    assert counted["images"] / counted["batches"] >= 0.8 * LARGEST
