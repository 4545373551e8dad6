"""A configuration for GPUs, on a real server without one."""

from pathlib import Path

import pytest

from networks_for_tests import EXPORTED, Bare, repository_of
from pictures import encoded, off, pixels_of, sample
from sakuga import Config, connect
from sakuga_core.config.server import Accelerator
from sakuga_core.networks.families import Upscaler
from sakuga_core.networks.registry import by_name
from sakuga_core.protocol import folder
from sakuga_core.repository.networks import largest_batch
from sakuga_server.runtime.embedded import run_triton
from slow import full

MODEL = EXPORTED[1]
PICTURE = sample("heroine", (100, 100, 160, 150))


@pytest.mark.parametrize("accelerator", [full("cuda"), "tensorrt"])
async def test_it_serves_after_its_warm_up_and_keeps_a_place_for_engines(
    served: Path, tmp_path: Path, bare: dict[str, Bare], accelerator: Accelerator
) -> None:
    config = Config()
    config.server.accelerator, config.server.engine_cache = accelerator, tmp_path / "engines"
    config.limits.tile_size = 64  # so that the warm-up is short
    config.server.upscale_workers = 1
    config.server.repository = repository_of(served, tmp_path / "repository")
    with run_triton(config, models=["upscale", "networks", folder(MODEL)]) as server:
        async with connect(config, url=server.url) as images:
            before = (await images.triton.status())["models"][folder(MODEL)]
            result = await images.process(encoded(PICTURE), "upscale", {"model": MODEL})
    network = by_name(MODEL)
    assert isinstance(network, Upscaler)
    assert before["images"] == 1 + largest_batch(network, config) + 1  # as config.pbtxt has it
    assert off(pixels_of(result), bare[MODEL](PICTURE)) <= 1
    engines = [each.name for each in (tmp_path / "engines").glob(f"{folder(MODEL)}-*")]
    assert len(engines) == (accelerator == "tensorrt")
