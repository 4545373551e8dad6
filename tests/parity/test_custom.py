"""Custom networks against spandrel's own descriptors of the same files, and masks against
the built-in ones."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import third_party_networks
from pictures import encoded, encoded_16, off, pixels_of, sample
from sakuga import Config
from sakuga_core.networks.families import CustomUpscaler, Segmenter, Upscaler
from sakuga_core.networks.registry import by_name
from sakuga_export.custom import add, checkpoint, fitted
from sakuga_export.custom import upscalers as custom_upscalers
from sakuga_export.custom.add import CustomOptions
from sakuga_export.families import graph, segmenters, upscalers
from sakuga_export.fetch import fetch
from sakuga_export.output import ONNX
from sakuga_server.imaging.picture import Array
from sakuga_server.networks import Tile
from sakuga_server.pipelines.settings import UpscaleSettings
from sakuga_server.pipelines.upscale import Upscale
from slow import full, some

# Each architecture, and what has to be found out of it: scale, padding, multiple, side, batched.
FREE = {
    "esrgan": (4, 19, 1, None, True),
    "esrgan-8x": (8, 19, 1, None, True),
    "esrgan-gray": (4, 19, 1, None, True),
    "realesrgan-x2": (2, 38, 4, None, True),
    "compact": (4, 5, 1, None, True),
    "span": (2, 21, 1, None, True),
}
FIXED = {
    "realplksr": (2, 0, 1, 128, True),  # norms over the whole picture
    "swinir": (2, 0, 1, 128, False),  # attention in windows
    "dat": (2, 0, 1, 128, False),
    "realcugan": (2, 0, 1, 128, True),  # means of the whole picture
    "safmn": (2, 0, 1, 128, False),  # pooling that ONNX has for fixed sizes only
}

SLOW = ("esrgan-8x", "esrgan-gray", "span", "dat", "realcugan", "safmn")
QUICK = [name for name in (*FREE, *FIXED) if name not in SLOW]


@dataclass
class Mine:
    """A custom network as it was exported, and as spandrel has it."""

    row: CustomUpscaler
    session: onnxruntime.InferenceSession
    descriptor: checkpoint.Descriptor

    async def net(self, model: str, tile: Tile) -> Array:
        assert (model, tile.denoise) == (self.row.name, None)
        return np.asarray(self.session.run([tile.output], tile.inputs)[0])

    def expected(self, pixels: np.ndarray) -> np.ndarray:
        """What spandrel makes of a picture, (H, W, 3)."""
        return graph.bare(
            lambda pictures: custom_upscalers.reference(self.descriptor, pictures), pixels[None]
        )[0].astype(pixels.dtype)

    async def upscaled(self, pixels: np.ndarray, tile_size: int) -> tuple[np.ndarray, int]:
        """What the pipeline makes of it, without Triton, at the network's scale; how many tiles."""
        limits = Config().limits
        settings = UpscaleSettings(
            networks={self.row.name: self.row.facts}, defaults={}, limits=limits
        )
        data = encoded_16(pixels) if pixels.dtype == np.uint16 else encoded(pixels)
        options = {"model": self.row.name, "tile_size": tile_size}
        result, report = await Upscale(self.net, settings)(data, options)
        return pixels_of(result), report["tiles"]


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Mine]:
    folder, made = tmp_path_factory.mktemp("own"), {}

    def exported(name: str) -> Mine:
        if name not in made:
            suffix = ".safetensors" if len(name) % 2 else ".pth"
            file = third_party_networks.write_checkpoint(name, folder, suffix)
            row = add.add(file, CustomOptions(name=name), folder / "models")
            assert isinstance(row, CustomUpscaler)
            session = onnxruntime.InferenceSession(folder / "models" / row.folder / "1" / ONNX)
            made[name] = Mine(row, session, checkpoint.load(file))
        return made[name]

    return exported


@pytest.mark.parametrize("name", some((*FREE, *FIXED), QUICK))
def test_facts_are_found_out(mine: Callable[[str], Mine], name: str) -> None:
    row = mine(name).row
    found = (row.scale, row.receptive_field, row.multiple, row.side, row.batched)
    assert found == (FREE | FIXED)[name]


@pytest.mark.parametrize("name", some((*FREE, *FIXED), QUICK))
def test_rrdbnets_are_exported_as_the_built_in_ones_are(name: str, tmp_path: Path) -> None:
    descriptor = checkpoint.load(third_party_networks.write_checkpoint(name, tmp_path))
    known = fitted.rebuilt(descriptor) is not None
    assert known == (name in ("esrgan", "realesrgan-x2"))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (37, 1), (61, 90)])
@pytest.mark.parametrize("name", some(FREE, QUICK))
def test_pictures_of_any_size_equal_spandrels(
    mine: Callable[[str], Mine], name: str, size: tuple[int, int]
) -> None:
    network = mine(name)
    pixels = sample("heroine", (100, 180, 100 + size[1], 180 + size[0]))
    found = graph.run_file(network.session, pixels[None])[0]
    assert off(found, network.expected(pixels)) <= 1


@pytest.mark.parametrize(
    ("name", "tile_size"),
    [
        *((full if name in SLOW else pytest.param)(name, 32) for name in FREE),
        ("realesrgan-x2", 45),
    ],
)
async def test_tiled_equals_spandrels_whole_picture(
    mine: Callable[[str], Mine], name: str, tile_size: int
) -> None:
    network = mine(name)
    pixels = sample("heroine", (100, 150, 251, 283))  # 133 x 151: multiples of nothing
    found, tiles = await network.upscaled(pixels, tile_size)
    assert tiles > 1
    assert off(found, network.expected(pixels)) <= 1


@pytest.mark.parametrize("name", ["esrgan", "realesrgan-x2"])
async def test_16_bits_equal_spandrels(mine: Callable[[str], Mine], name: str) -> None:
    network = mine(name)
    pixels = sample("sunset", (260, 60, 380, 150)).astype(np.uint16) * 257 + 91
    found, _ = await network.upscaled(pixels, 32)
    assert off(found, network.expected(pixels)) <= 64  # a quarter of a level of 255


async def test_tiles_that_begin_anywhere_would_show(mine: Callable[[str], Mine]) -> None:
    network = mine("realesrgan-x2")
    facts = network.row.facts.model_copy(update={"multiple": 1})
    careless = Mine(network.row, network.session, network.descriptor)
    settings = UpscaleSettings(
        networks={"realesrgan-x2": facts}, defaults={}, limits=Config().limits
    )
    pixels = sample("heroine", (100, 150, 251, 283))
    options = {"model": "realesrgan-x2", "tile_size": 45}
    result, _ = await Upscale(careless.net, settings)(encoded(pixels), options)
    assert off(pixels_of(result), network.expected(pixels)) > 1


@pytest.mark.parametrize("name", some(FIXED, QUICK))
async def test_a_picture_of_one_tile_equals_spandrels(
    mine: Callable[[str], Mine], name: str
) -> None:
    network = mine(name)
    pixels = sample("heroine", (100, 150, 228, 278))
    found, tiles = await network.upscaled(pixels, 512)
    assert tiles == 1
    assert off(found, network.expected(pixels)) <= 1


@pytest.mark.parametrize("name", ["swinir", "realplksr"])
async def test_larger_pictures_are_of_tiles_that_mix(
    mine: Callable[[str], Mine], name: str
) -> None:
    pixels = sample("heroine", (100, 150, 251, 283))
    found, tiles = await mine(name).upscaled(pixels, 512)
    assert tiles == 4
    assert found.shape == (266, 302, 3)


@pytest.mark.parametrize(
    "name",
    [
        "realesr-animevideov3",
        pytest.param("realesrgan-x4plus-anime", marks=pytest.mark.full),
    ],
)
def test_a_built_in_networks_file_comes_out_as_the_built_in_network(
    name: str, tmp_path: Path
) -> None:
    network = by_name(name)
    assert isinstance(network, Upscaler)
    (weights,) = network.weights
    state = upscalers.load(network, weights, fetch(weights))
    torch.save({"params_ema": dict(state)}, tmp_path / "built-in.pth")
    row = add.add(tmp_path / "built-in.pth", CustomOptions(name="mine"), tmp_path)
    assert row.facts == network.facts
    upscalers.convert(network, [state], tmp_path / ONNX)
    files = (tmp_path / ONNX, tmp_path / "mine" / "1" / ONNX)
    pixels = sample("heroine", (100, 180, 180, 240))[None]
    built_in, found = (graph.run_file(onnxruntime.InferenceSession(f), pixels) for f in files)
    assert off(found, built_in) <= 1
    assert (found != built_in).mean() < 1e-3


@pytest.mark.full
def test_u2net_by_file_gives_the_built_in_masks(tmp_path: Path) -> None:
    network = by_name("u2net")
    assert isinstance(network, Segmenter)
    file = fetch(network.weights[0]).path
    row = add.add(file, CustomOptions(name="mine", mean=network.mean, std=network.std), tmp_path)
    assert isinstance(row, Segmenter)
    segmenters.convert(network, file, tmp_path / ONNX)
    rng = np.random.default_rng(0)
    pictures = np.stack(
        [
            rng.integers(0, 256, (320, 320, 3), np.uint8),
            np.resize(sample("heroine", (0, 100, 320, 420)), (320, 320, 3)),
        ]
    )
    files = (tmp_path / ONNX, tmp_path / "mine" / "1" / ONNX)
    built_in, found = (
        segmenters.run_file(row, onnxruntime.InferenceSession(f), pictures) for f in files
    )
    assert np.array_equal(found, built_in)
