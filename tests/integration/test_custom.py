"""Custom networks, exported into a fresh repository and served by a real Triton."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

import third_party_networks
from pictures import encoded, off, pixels_of, sample
from sakuga import Config, Images, connect
from sakuga_core.errors import BadOption
from sakuga_core.repository import writer
from sakuga_export.custom import add, checkpoint, upscalers
from sakuga_export.custom.add import CustomOptions
from sakuga_export.families import graph
from sakuga_server.runtime.embedded import run_triton

UPSCALERS = ("realesrgan-x2", "compact", "safmn")
BRIGHT = """
    <ir_version: 8, opset_import: ["": 13]>
    bright (float[1, 3, 64, 64] picture) => (float[1, 1, 64, 64] mask)
    <float[1, 3, 1, 1] weights = {1, 1, 1}>
    { mask = Conv (picture, weights) }
"""


@dataclass
class Custom:
    """A server with custom networks alone, and the checkpoints that they came from."""

    images: Images
    files: dict[str, Path]

    def expected(self, name: str, pixels: np.ndarray) -> np.ndarray:
        descriptor = checkpoint.load(self.files[name])
        found = graph.bare(lambda p: upscalers.reference(descriptor, p), pixels[None])
        return found[0].astype(np.uint8)


@pytest.fixture(scope="module")
async def custom(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Custom]:
    folder = tmp_path_factory.mktemp("own")
    config = Config()
    config.server.repository = folder / "models"
    config.server.upscale_workers = 1
    config.server.matting_workers = config.server.fix_artifacts_workers = 1
    files = {name: third_party_networks.write_checkpoint(name, folder) for name in UPSCALERS}
    for name, file in files.items():
        add.add(
            file, CustomOptions(name=f"my-{name}", title="Mine", licence="mine"), folder / "models"
        )
    onnx.save(onnx.parser.parse_model(BRIGHT), folder / "bright.onnx")
    add.add(folder / "bright.onnx", CustomOptions(name="my-bright"), folder / "models")
    writer.write(folder / "models", config)
    with run_triton(config) as server:
        async with connect(config, url=server.url) as images:
            yield Custom(images, files)


async def test_they_are_listed_and_there(custom: Custom) -> None:
    networks = await custom.images.triton.networks()
    for name in (*UPSCALERS, "bright"):
        assert networks[f"my-{name}"]["installed"]
    facts = networks["my-realesrgan-x2"]
    assert (facts["title"], facts["licence"]) == ("Mine", "mine")
    assert (facts["scale"], facts["side"], facts["source"]) == (2, None, "realesrgan-x2.pth")


@pytest.mark.parametrize("name", ["realesrgan-x2", "compact"])
async def test_a_tiled_picture_equals_the_bare_descriptors(custom: Custom, name: str) -> None:
    pixels = sample("heroine", (100, 150, 251, 283))
    options = {"model": f"my-{name}", "tile_size": 45}
    reply = await custom.images.run(encoded(pixels), "upscale", options)
    assert reply.report["tiles"] > 1
    assert off(pixels_of(reply.result), custom.expected(name, pixels)) <= 1


async def test_a_network_of_one_size_of_tiles_and_batches_of_one(custom: Custom) -> None:
    pixels = sample("heroine", (100, 150, 228, 278))
    options = {"model": "my-safmn"}
    reply = await custom.images.run(encoded(pixels), "upscale", options)
    assert off(pixels_of(reply.result), custom.expected("safmn", pixels)) <= 1
    larger = await custom.images.run(
        encoded(sample("heroine", (0, 0, 200, 130))), "upscale", options
    )
    assert pixels_of(larger.result).shape == (260, 400, 3)
    assert larger.report["tiles"] == 4


async def test_a_pictures_transparency_goes_through(custom: Custom) -> None:
    pixels = sample("mascot", (20, 60, 148, 160))
    result = await custom.images.process(encoded(pixels), "upscale", {"model": "my-realesrgan-x2"})
    assert pixels_of(result).shape == (200, 256, 4)


async def test_fix_artifacts_upscales_with_them(custom: Custom) -> None:
    data = encoded(sample("heroine", (100, 180, 180, 240)))
    options = {"model": "my-compact", "scale": 4, "detector": "none"}
    repaired = await custom.images.process(data, "fix_artifacts", options)
    upscaled = await custom.images.process(data, "upscale", {"model": "my-compact"})
    assert np.array_equal(pixels_of(repaired), pixels_of(upscaled))


async def test_the_ensemble_removes_the_background(custom: Custom) -> None:
    pixels = np.full((64, 64, 3), 20, np.uint8)
    cv2.circle(pixels, (32, 32), 20, (220, 230, 240), -1)
    options = {"model": "my-bright", "only_mask": True}
    found = pixels_of(await custom.images.process(encoded(pixels), "rembg", options))
    # Its mask is the brightness, stretched from 0 to 255: that of the disk and of the ground.
    assert off(found, np.where(pixels[..., 0] > 100, 255, 0).astype(np.uint8)) <= 1
    cut = pixels_of(await custom.images.process(encoded(pixels), "rembg", {"model": "my-bright"}))
    assert cut.shape == (64, 64, 4)
    assert (cut[32, 32, 3], cut[2, 2, 3]) == (255, 0)


async def test_unknown_names_are_listed_with_the_custom_ones(custom: Custom) -> None:
    with pytest.raises(BadOption, match=r"allowed: .*my-compact"):
        await custom.images.process(encoded(sample("heroine")), "upscale", {"model": "my-other"})
