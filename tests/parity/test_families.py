"""waifu2x and Real-CUGAN beside ncnn on the same files, and in tiles beside the whole."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from families_for_tests import CUNET, Exported, Forgetful, by_ncnn, member
from networks_for_tests import Engine
from pictures import encoded, encoded_16, off, pixels_of, sample
from sakuga import Config
from sakuga_core.networks.registry import MEMBERS
from sakuga_export.families import graph
from sakuga_export.output import ONNX
from sakuga_server.networks import Tile
from sakuga_server.pipelines.settings import UpscaleSettings
from sakuga_server.pipelines.upscale import Upscale
from slow import some

# One of each architecture, scale and border.
QUICK = (
    *("waifu2x-cunet-1x-denoise2", CUNET, "waifu2x-upconv-anime-2x-denoise0"),
    *("realcugan-pro-2x-none", "realcugan-se-3x-none", "realcugan-se-4x-none"),
)
NAMES = [row.name for row in MEMBERS]
Folder = Callable[[str], Path]


@pytest.mark.parametrize("name", some(NAMES, QUICK))
def test_the_export_equals_ncnn(family_export: Folder, name: str, tmp_path: Path) -> None:
    session = graph.session(family_export(name) / ONNX)
    colour = sample("heroine", (100, 150, 161, 195))
    for picture in (colour, colour.astype(np.uint16) * 257 + 90, _gray(), colour[:37, :50]):
        found = graph.run_file(session, picture[None])[0]
        most = 1 if picture.dtype == np.uint8 else 257
        assert off(found.astype(picture.dtype), by_ncnn(name, picture, tmp_path)) <= most


def _gray() -> np.ndarray:
    return np.repeat(sample("lineart", (40, 60, 99, 111))[..., None], 3, axis=2)


@pytest.mark.parametrize("name", some(NAMES, QUICK))
@pytest.mark.parametrize("size", [(1, 7), (7, 1), (1, 1)])
def test_the_smallest_pictures_equal_ncnn(
    family_export: Folder, name: str, size: tuple[int, int], tmp_path: Path
) -> None:
    height, width = size
    picture = sample("heroine", (120, 160, 120 + width, 160 + height))
    found = graph.run_file(graph.session(family_export(name) / ONNX), picture[None])[0]
    assert off(found, by_ncnn(name, picture, tmp_path)) <= 1


@pytest.mark.parametrize("name", [CUNET, "waifu2x-upconv-anime-2x-denoise0"])
def test_the_servers_engine_gives_the_same_whatever_is_asked_in_turn(
    family_export: Folder, name: str
) -> None:
    exact, engine = graph.session(family_export(name) / ONNX), Engine(family_export(name) / ONNX)
    picture = sample("heroine", (100, 150, 190, 211))
    outputs = [tensor.name for tensor in exact.get_outputs()]  # type: ignore[attr-defined]
    channels = member(name).means
    means = np.zeros((1, 1 + sum(channels)), np.float32) if channels else None
    feed = Tile(picture[None], inner=(True, False, False, True), means=means).inputs
    for output in (*outputs, *reversed(outputs)):
        (expected,), (found,) = exact.run([output], feed), engine.run([output], feed)
        if output.startswith("SHARES"):
            assert np.allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
        else:
            assert off(found, expected) <= (1 if found.dtype == np.uint8 else 128)


async def upscaled(
    net: Exported, name: str, pixels: np.ndarray, **options: object
) -> tuple[np.ndarray, int]:
    """What the pipeline makes of a picture, and of how many calls."""
    config = Config()
    row = member(name)
    settings = UpscaleSettings(networks={name: row.facts}, defaults={}, limits=config.limits)
    data = encoded_16(pixels) if pixels.dtype == np.uint16 else encoded(pixels)
    values = {"model": name, "scale": row.scale, **options}
    result, report = await Upscale(net, settings)(data, values)
    return pixels_of(result), report["tiles"]


PICTURES = {
    "colour": sample("heroine", (60, 100, 180, 210)),
    "odd": sample("heroine", (100, 120, 199, 213)),
    "gray": sample("lineart", (20, 30, 121, 131)),
    "16 bits": sample("heroine", (60, 100, 180, 210)).astype(np.uint16) * 257,
    "transparent": sample("mascot", (20, 20, 130, 112)),
}


IN_TILES = [(name, "odd") for name in QUICK if "pro" not in name] + [(CUNET, "transparent")]


@pytest.mark.parametrize("name_and_kind", some(product(NAMES, PICTURES), IN_TILES), ids="-".join)
async def test_tiles_equal_the_whole(family_export: Folder, name_and_kind: tuple[str, str]) -> None:
    name, kind = name_and_kind
    net = Exported({name: family_export(name)})
    whole, _ = await upscaled(net, name, PICTURES[kind])
    tiled, tiles = await upscaled(net, name, PICTURES[kind], tile_size=32)
    assert tiles >= 9
    assert off(tiled, whole) <= (257 if whole.dtype == np.uint16 else 1)


async def test_with_means_of_each_tile_there_would_be_seams(family_export: Folder) -> None:
    pixels = PICTURES["colour"].copy()
    pixels[:, 60:] //= 8  # a dark half, where the means are others
    files = {CUNET: family_export(CUNET)}
    whole, _ = await upscaled(Exported(files), CUNET, pixels)
    tiled, _ = await upscaled(Exported(files), CUNET, pixels, tile_size=32)
    assert off(tiled, whole) <= 1
    seams, _ = await upscaled(Forgetful(files), CUNET, pixels, tile_size=32)
    assert off(seams, whole) > 4


async def test_a_picture_of_one_tile_needs_one_call(family_export: Folder) -> None:
    net = Exported({CUNET: family_export(CUNET)})
    await upscaled(net, CUNET, sample("heroine", (0, 0, 140, 60)), tile_size=64)
    assert len(net.calls) == 1  # longer than a tile, but no larger
    net.calls.clear()
    await upscaled(net, CUNET, sample("heroine", (0, 0, 180, 80)), tile_size=64)
    shares = [tile.share for _, tile in net.calls]
    assert {shares.count(layer) for layer in (0, 1, 2, 3, None)} == {len(shares) // 5}
