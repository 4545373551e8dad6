"""`enhance` through a real Triton: sizes, kinds of pictures, and the same bytes every time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

from pictures import encoded, encoded_16, gradient, off, pixels_of, sample
from sakuga import AuraSRProvider, Config, Images, connect
from sakuga_core.networks.families import Enhancer
from sakuga_core.networks.registry import ENHANCERS, configured
from sakuga_core.repository import writer
from sakuga_export.families import enhancers, graph
from sakuga_server.runtime.embedded import run_triton
from slow import some

(ROW,) = ENHANCERS
PICTURE = encoded(sample("heroine", (60, 100, 190, 210)))


async def test_a_tile_equals_the_bare_network(images: Images, aura: Path) -> None:
    tile = sample("sunset", (100, 60, 164, 124))
    expected = graph.bare(enhancers.load(ROW, aura), tile[None])[0].astype(np.uint8)
    assert off(pixels_of(await images.process(encoded(tile), "enhance")), expected) <= 1


@pytest.mark.parametrize("size", [(1, 1), (2, 70), (32, 32), (33, 31), (65, 64), (140, 90)])
async def test_any_size_is_upscaled_4_times(images: Images, size: tuple[int, int]) -> None:
    result = pixels_of(await images.process(encoded(gradient(*size)), "enhance"))
    assert result.shape == (size[0] * 4, size[1] * 4, 3)


@pytest.mark.parametrize("scale", some((1, 1.5, 2, 3, 4), (1, 1.5, 4)))
async def test_scales_come_by_reduction(images: Images, scale: float) -> None:
    reply = await images.run(PICTURE, "enhance", {"scale": scale})
    assert pixels_of(reply.result).shape == (int(110 * scale), int(130 * scale), 3)
    assert reply.report["model"] == "aura-sr-v2"


async def test_every_kind_of_picture_stays_of_its_kind(images: Images) -> None:
    transparent = sample("mascot", (20, 60, 120, 150))
    deep = gradient(40, 50, np.uint16)
    kinds = {
        "gray 8 bit": encoded(sample("lineart", (60, 100, 150, 180))),
        "rgb+alpha 8 bit": encoded(transparent),
        "rgb 16 bit": encoded_16(deep),
        "gray 16 bit": encoded_16(deep[..., 0]),
        "rgb+alpha 16 bit": encoded_16(np.dstack((deep, deep[..., :1]))),
    }
    for kind, data in kinds.items():
        reply = await images.run(data, "enhance")
        assert reply.report["output"]["mode"].lower() == kind
        assert pixels_of(reply.result).dtype == (np.uint16 if "16" in kind else np.uint8)


async def test_the_same_bytes_every_time_in_any_company(images: Images) -> None:
    alone = await images.process(PICTURE, "enhance")
    others = [encoded(gradient(70 + i, 90)) for i in range(5)]
    crowd = [images.process(data, "enhance") for data in (*others, PICTURE, PICTURE)]
    *_, first, second = await asyncio.gather(*crowd)
    assert alone == first == second


async def test_upscale_takes_the_network_too(images: Images) -> None:
    swapped = await images.process(PICTURE, "upscale", {"model": "aura-sr-v2", "scale": 4})
    assert swapped == await images.process(PICTURE, "enhance", {"scale": 4})


async def test_config_chooses_what_upscales_and_enhances(config: Config, url: str) -> None:
    own = config.model_copy(deep=True)
    own.providers.image.upscale.model = "aura-sr-v2"
    own.providers.image.enhance.model = "realesr-animevideov3"
    own.aurasr.overlapping_tiles = False
    async with connect(own, url=url) as swapped:
        reply = await swapped.run(PICTURE, "upscale")
        assert (reply.report["model"], reply.report["tiles"]) == ("aura-sr-v2", 6)
        reply = await swapped.run(PICTURE, "enhance")
        assert reply.report["model"] == "realesr-animevideov3"


async def test_the_provider_serves_alone(config: Config, url: str, images: Images) -> None:
    own = config.model_copy(deep=True)
    own.server.url = url
    async with AuraSRProvider(own) as provider:
        found = await provider.process(PICTURE, "enhance", {})
    assert found == await images.process(PICTURE, "enhance")


@pytest.fixture(scope="module")
async def scripted(
    tmp_path_factory: pytest.TempPathFactory, exported_aura: Callable[[Enhancer], Path]
) -> AsyncIterator[Images]:
    """Another Triton, which serves the network as TorchScript."""
    folder, config = tmp_path_factory.mktemp("scripted"), Config()
    config.aurasr.backend, config.server.repository = "pytorch", folder
    config.server.upscale_workers = 1
    writer.write(folder, config)
    row = configured(ROW, config)
    (folder / row.folder / "1").symlink_to(exported_aura(row).parent)
    with run_triton(config, models=["upscale", row.folder]) as server:
        async with connect(config, url=server.url) as images:
            yield images


async def test_torchscript_gives_the_same_picture(scripted: Images, images: Images) -> None:
    found = await scripted.process(PICTURE, "enhance")
    assert off(pixels_of(found), pixels_of(await images.process(PICTURE, "enhance"))) <= 1
    again = [scripted.process(PICTURE, "enhance") for _ in range(3)]
    assert set(await asyncio.gather(*again)) == {found}
