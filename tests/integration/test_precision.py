"""Networks as config.yaml has them run, where all other tests ask for float32."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from drawn import psnr
from networks_for_tests import EXPORTED, Bare, repository_of
from pictures import encoded, encoded_16, off, pixels_of, sample
from sakuga import Config, Images, connect
from sakuga_core.protocol import folder
from sakuga_core.repository import writer
from sakuga_server.runtime.embedded import run_triton
from slow import full


@pytest.fixture(scope="module")
async def quick(served: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Images]:
    config = Config()
    config.server.upscale_workers = 1
    config.server.repository = repository_of(served, tmp_path_factory.mktemp("quick"))
    writer.write(config.server.repository, config)
    models = ["upscale", "networks", *map(folder, EXPORTED)]
    with run_triton(config, models=models) as server:
        assert set(server.models) == set(models)
        async with connect(config, url=server.url) as images:
            yield images


@pytest.mark.parametrize(
    ("model", "tile_size"),
    [(EXPORTED[0], 64), full(EXPORTED[0], 1024), (EXPORTED[1], 64), (EXPORTED[1], 1024)],
)
async def test_pictures_are_within_50_decibels(
    quick: Images, bare: dict[str, Bare], model: str, tile_size: int
) -> None:
    pixels = sample("heroine", (60, 120, 220, 260))
    result = await quick.process(
        encoded(pixels), "upscale", {"model": model, "tile_size": tile_size}
    )
    assert psnr(pixels_of(result), bare[model](pixels)) >= 50


async def test_pictures_of_16_bits_are_exact(quick: Images, bare: dict[str, Bare]) -> None:
    model = "realesr-animevideov3"
    pixels = sample("sunset", (100, 60, 164, 100)).astype(np.uint16) * 257 + 91
    result = await quick.process(encoded_16(pixels), "upscale", {"model": model})
    assert off(pixels_of(result), bare[model](pixels)) <= 64  # a quarter of a level of 255
