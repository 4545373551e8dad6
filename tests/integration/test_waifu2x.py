"""A family on a real server: asked by its name, in tiles as whole."""

from pathlib import Path

import numpy as np
import pytest

from families_for_tests import CUNET
from networks_for_tests import Bare
from pictures import encoded, encoded_16, off, pixels_of, sample
from sakuga import BadOption, Images, ModelNotInstalled
from sakuga_core.networks.choices import choices

FAMILY = "waifu2x-cunet"


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("tile_size", [None, 64])
async def test_a_family_draws_2x_as_its_network_does(
    images: Images, served: Path, tile_size: int | None, bits: int
) -> None:
    pixels = sample("heroine", (60, 100, 211, 230))
    if bits == 16:
        pixels = pixels.astype(np.uint16) * 257
    data = encoded(pixels) if bits == 8 else encoded_16(pixels)
    options = {"model": FAMILY, **({"tile_size": tile_size} if tile_size else {})}
    reply = await images.run(data, "upscale", options)
    assert off(pixels_of(reply.result), Bare(served, CUNET)(pixels)) <= (1 if bits == 8 else 257)
    assert (reply.report["model"], reply.report["network"]) == (FAMILY, CUNET)
    assert reply.report["tiles"] == (1 if tile_size is None else 5 * 4)


async def test_it_repairs_and_upscales_too(images: Images) -> None:
    data = encoded(sample("heroine", (60, 100, 140, 180)), "JPEG", quality=40)
    reply = await images.run(data, "fix_artifacts", {"model": FAMILY, "denoise_level": 0})
    assert pixels_of(reply.result).shape == (160, 160, 3)


async def test_what_it_lacks_and_what_is_not_exported_are_told_apart(images: Images) -> None:
    data = encoded(sample("heroine", (60, 100, 90, 120)))
    with pytest.raises(BadOption, match="waifu2x-cunet has at 1x: 0, 1, 2, 3"):
        await images.process(
            data, "upscale", {"model": FAMILY, "scale": 1, "denoise_level": "conservative"}
        )
    with pytest.raises(ModelNotInstalled, match="sakuga export waifu2x-cunet-2x-denoise3"):
        await images.process(data, "upscale", {"model": FAMILY, "denoise_level": 3})


async def test_it_is_listed_as_one(images: Images) -> None:
    found = choices(await images.triton.networks())
    assert (found[FAMILY]["installed"], found[FAMILY]["loaded"]) == (True, True)
    assert [n for n, f in found[FAMILY]["networks"].items() if f["installed"]] == [CUNET]
    assert (found["realcugan-se"]["installed"], found["realcugan-se"]["scales"]) == (
        False,
        [2, 3, 4],
    )
