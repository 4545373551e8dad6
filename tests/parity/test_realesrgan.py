"""Against the real `realesrgan.RealESRGANer`: same weights, same pictures, through our Triton."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reference
from networks_for_tests import EXPORTED
from pictures import encoded, encoded_16, off, pixels_of, sample
from sakuga import Images
from sakuga_core.networks.families import Upscaler
from sakuga_core.networks.registry import UPSCALERS, by_name
from sakuga_export.families import upscalers
from sakuga_export.fetch import fetch
from slow import full, some


@pytest.fixture(scope="module", params=EXPORTED)
def network(request: pytest.FixtureRequest) -> Upscaler:
    return by_name(request.param)


@pytest.fixture(scope="module")
def reference_of(network: Upscaler, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("reference")
    weights = network.weights[0]
    states = [upscalers.load(network, weights, fetch(weights))]
    return reference.upsampler(network, states, folder)


PICTURES = {
    "rgb": sample("heroine", (100, 180, 228, 276)),
    "rgb, all of it": sample("sunset", (0, 0, 480, 270))[::2, ::2],
    "jpeg": sample("heroine_q25", (90, 170, 190, 250)),
    "gray": sample("lineart", (60, 100, 180, 190)),
    "16 bit": sample("sunset", (260, 60, 380, 150)).astype(np.uint16) * 257 + 91,
    "16 bit gray": sample("lineart", (60, 100, 140, 160)).astype(np.uint16) * 257,
    "rgba": sample("mascot", (20, 60, 148, 160)),
    "one pixel": sample("heroine", (50, 50, 51, 51)),
    "a line": sample("heroine", (50, 50, 51, 120)),
}


@pytest.mark.parametrize("name", some(PICTURES, PICTURES.keys() - {"rgb, all of it", "jpeg"}))
async def test_at_most_one_level_from_the_reference(
    images: Images, network: Upscaler, reference_of: Any, name: str
) -> None:
    pixels = PICTURES[name]
    data = encoded_16(pixels) if pixels.dtype == np.uint16 else encoded(pixels)
    options = {"model": network.name, "reference_alpha": True, "reference_flat": True}
    found = pixels_of(await images.process(data, "upscale", options))
    expected = reference.enhance(reference_of, pixels)
    # A level is 1 of 255; 16 bits have to keep to that, and do far better.
    level = 257 if pixels.dtype == np.uint16 else 1
    assert off(found, expected) <= level
    if level > 1:
        assert np.abs(found.astype(int) - expected).mean() < 2


@pytest.mark.parametrize("scale", [1.5, full(2), 3])
async def test_reference_resize_is_the_references(
    images: Images, network: Upscaler, reference_of: Any, scale: float
) -> None:
    pixels = sample("heroine", (100, 180, 180, 240))
    options = {"model": network.name, "scale": scale, "reference_resize": True}
    found = pixels_of(await images.process(encoded(pixels), "upscale", options))
    # LANCZOS4 has negative weights, so one level before it can be two after.
    assert off(found, reference.enhance(reference_of, pixels, scale)) <= 2


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
async def test_denoise_strength_is_the_references(
    images: Images, general_states: list[upscalers.State], tmp_path: Path, strength: float
) -> None:
    network = by_name("realesr-general-x4v3")
    theirs = reference.upsampler(network, general_states, tmp_path, strength)
    pixels = sample("heroine", (100, 180, 180, 240))
    options = {"model": network.name, "denoise_strength": strength}
    found = pixels_of(await images.process(encoded(pixels), "upscale", options))
    assert off(found, reference.enhance(theirs, pixels)) <= 1


@pytest.mark.parametrize("row", UPSCALERS, ids=lambda network: network.name)
def test_the_architecture_is_the_references(row: Upscaler) -> None:
    torch.manual_seed(0)
    ours, theirs = upscalers.build(row), reference.architecture(row).eval()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    image = torch.rand(1, 3, 19, 26)
    with torch.inference_mode():
        assert torch.allclose(ours(image), theirs(image), atol=1e-5)
