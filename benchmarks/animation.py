"""Animations: one request, which computes each tile once, against a request for each frame.

`python benchmarks/animation.py`; about fifteen minutes on two cores.
"""

import asyncio
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from measure import Row, side_by_side, write
from PIL import Image
from upscale import Loop, served

from draw import picture
from pictures import encoded
from sakuga import Images, load_config

NOTES = [
    "Ours: the animation as one WebP file, `animation: all`. The other side: its frames as PNG "
    "files, all in flight at once on the same server, which writes PNG files; decoding and "
    "encoding included on both sides.",
    "Tiles: those that were computed, of all; the others equal one that was, or are transparent.",
    "The results are equal, sample by sample, to those of the frames in tiles of the same size; a "
    "test compares them.",
]


def scene(frames: int, side: tuple[int, int], hold: int) -> Iterator[Image.Image]:
    """A mascot, in a tenth of the picture, that bobs before a still background."""
    ground = picture("sunset").convert("RGB").resize(side, Image.Resampling.LANCZOS)
    height = int((side[0] * side[1] / 10) ** 0.5) - 12
    figure = mascot(height)
    for index in range(frames):
        phase = 2 * np.pi * (index // hold) / (frames / hold)
        frame = ground.copy()
        place = side[0] // 2 + int(6 * np.sin(phase)), side[1] // 2 + int(6 * np.cos(phase))
        frame.paste(figure, place, figure)
        yield frame


def sticker(frames: int, side: int) -> Iterator[Image.Image]:
    """A mascot alone, half of the picture transparent, that sways: every frame is another."""
    figure = Image.new("RGBA", (side, side))
    figure.paste(mascot(round(0.83 * side)))
    for index in range(frames):
        angle = 4 * np.sin(2 * np.pi * (index + 0.3) / frames)  # no two alike
        yield figure.rotate(angle, Image.Resampling.BICUBIC)


def mascot(side: int) -> Image.Image:
    """The mascot, as large as fits into a square, in its middle."""
    figure = picture("mascot", size=2 * side / 400).convert("RGBA")
    figure = figure.crop(figure.getbbox())
    figure.thumbnail((side, side), Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (side, side))
    square.paste(figure, ((side - figure.width) // 2, (side - figure.height) // 2))
    return square


def webp(frames: list[Image.Image]) -> bytes:
    """The frames as one file."""
    file = io.BytesIO()
    frames[0].save(
        file, "WEBP", save_all=True, append_images=frames[1:], duration=42, loop=0, lossless=True
    )
    return file.getvalue()


@dataclass(frozen=True)
class Plan:
    """What is measured of a network."""

    model: str
    runs: int
    frames: int
    side: tuple[int, int]
    """Of the scene."""
    holds: tuple[int, ...]
    """For how many frames its figure is held."""
    stickers: tuple[tuple[int, int], ...]
    """Sides of the cut-outs, and how many frames they have."""


PLANS = (
    Plan("realesr-animevideov3", 2, 12, (640, 360), (1, 2, 3), ((320, 6), (1024, 2))),
    Plan("realesrgan-x4plus-anime", 1, 6, (640, 360), (2,), ((320, 3),)),
)


def compare(images: Images, loop: Loop, plan: Plan, what: str, frames: list[Image.Image]) -> Row:
    """One request for all frames, against one for each."""
    file, stills = webp(frames), [encoded(np.asarray(frame)) for frame in frames]
    options = {"model": plan.model, "format": "png"}
    all_of_it = {**options, "reference_alpha": True}  # colours and transparency of every pixel

    def together() -> object:
        return loop(images.run(file, "upscale", options))

    async def all_alone() -> object:
        return await asyncio.gather(*(images.process(s, "upscale", all_of_it) for s in stills))

    report = together().report  # type: ignore[attr-defined]
    computed = f"{report['tiles_computed']} of {report['tiles']} tiles of {report['tile_size']}"
    name = f"{plan.model}, {what}"
    print(name, computed, flush=True)
    return side_by_side(name, together, lambda: loop(all_alone()), plan.runs, computed, warm=True)


def main() -> None:
    loop, rows = Loop(), []
    with served(load_config(), loop) as (images, _):
        for plan in PLANS:
            width, height = plan.side
            for hold in plan.holds:
                what = f"{width}x{height}, {plan.frames} frames, a tenth moves, held for {hold}"
                rows.append(
                    compare(images, loop, plan, what, list(scene(plan.frames, plan.side, hold)))
                )
            for side, frames in plan.stickers:
                what = f"{side}², {frames} frames, half of it transparent, all of it moves"
                rows.append(compare(images, loop, plan, what, list(sticker(frames, side))))
    write("animation", "Animations", "each frame", rows, NOTES)


if __name__ == "__main__":
    main()
