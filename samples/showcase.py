"""The page of `make run`: samples upscaled, repaired and with the background removed by Triton."""

import asyncio
import base64
import html
import os
import sys
import time
from pathlib import Path
from string import Template
from typing import Any

from PIL import Image

from sakuga import Images, Reply, connect, load_config
from sakuga_core import protocol
from sakuga_server.runtime.embedded import free_port, run_triton

SAMPLES = Path(__file__).parent
OUT = Path("out")
FIRST, FOLDER = "heroine.png", ["lineart.png", "sunset.png", "mascot.png", "heroine_q25.jpg"]
FOREGROUND = "heroine-foreground.png"
DAMAGED, REPAIRED = "heroine_q25.jpg", "heroine-repaired.jpg"

FIGURE = Template("""
<figure style="--width: ${width}px; aspect-ratio: $width / $height">
  <img src="$before" alt="$name before"><img class="after" src="$after" alt="$name after">
  <input type="range" min="0" max="100" value="50" aria-label="before and after: $name"
         oninput="this.parentNode.style.setProperty('--split', this.value + '%')">
  <figcaption>$caption</figcaption>
</figure>""")


async def work(url: str, segmenter: str) -> list[str]:
    """Upscales the first sample, then the others concurrently; repairs the damaged one; removes the
    background of the first. Returns a figure for each result."""
    async with connect(url=url) as images:
        names = [FIRST, *FOLDER]
        sources = [(SAMPLES / name).read_bytes() for name in names]
        replies = [await _one(images, FIRST, sources[0], "upscale", {})]
        rest = (_one(images, n, s, "upscale", {}) for n, s in zip(FOLDER, sources[1:], strict=True))
        replies += await asyncio.gather(*rest)
        damaged = sources[names.index(DAMAGED)]
        replies.append(await _one(images, REPAIRED, damaged, "fix_artifacts", {"scale": 4}))
        options = {"model": segmenter}
        replies.append(await _one(images, FOREGROUND, replies[0].result, "rembg", options))
    names, sources = [*names, REPAIRED, FOREGROUND], [*sources, damaged, replies[0].result]
    return [figure(*row) for row in zip(names, sources, replies, strict=True)]


async def _one(
    images: Images, name: str, source: bytes, action: str, options: dict[str, Any]
) -> Reply:
    reply = await images.run(source, action, options)
    target = (OUT / name).with_suffix(".png")
    target.write_bytes(reply.result)
    print(f"  {target}: {describe(reply)}")
    return reply


def describe(reply: Reply) -> str:
    """Sizes and the milliseconds of each stage, in one line."""
    sides = [reply.report[side] for side in ("input", "output")]
    sizes = " to ".join(f"{side['width']}x{side['height']}" for side in sides)
    stages = ", ".join(f"{name} {ms:.0f}" for name, ms in reply.report["milliseconds"].items())
    return f"{sizes}; ms: {stages}"


def page(figures: list[str]) -> str:
    """A self-contained page, images included."""
    template = Template((SAMPLES / "page.html").read_text(encoding="utf-8"))
    return template.substitute(figures="".join(figures))


def figure(name: str, source: bytes, reply: Reply) -> str:
    file_format = "jpeg" if name.endswith("jpg") else "png"
    return FIGURE.substitute(
        name=html.escape(name),
        width=reply.report["output"]["width"],
        height=reply.report["output"]["height"],
        before=f"data:image/{file_format};base64,{base64.b64encode(source).decode()}",
        after=f"data:image/png;base64,{base64.b64encode(reply.result).decode()}",
        caption=html.escape(f"{name}: {reply.report['model']}, {describe(reply)}"),
    )


def before_and_after(name: str, box: tuple[int, int, int, int]) -> Image.Image:
    """A crop of a sample, upscaled bicubically and by Sakuga: docs/before-after.png."""
    left, top, right, bottom = (4 * edge for edge in box)
    size = (right - left, bottom - top)
    before = Image.open(SAMPLES / name).crop(box).resize(size, Image.Resampling.BICUBIC)
    both = Image.new("RGB", (2 * size[0] + 8, size[1]), "white")
    both.paste(before, (0, 0))
    both.paste(Image.open(OUT / name).crop((left, top, right, bottom)), (size[0] + 8, 0))
    return both


def plain_and_repaired(box: tuple[int, int, int, int]) -> Image.Image:
    """A crop of the damaged sample, upscaled without and with repairs: docs/repaired.png."""
    crops = [Image.open((OUT / n).with_suffix(".png")).crop(box) for n in (DAMAGED, REPAIRED)]
    both = Image.new("RGB", (2 * crops[0].width + 8, crops[0].height), "white")
    for place, crop in enumerate(crops):
        both.paste(crop, (place * (crop.width + 8), 0))
    return both


def foreground_over(colour: str, box: tuple[int, int, int, int]) -> Image.Image:
    """A crop of a picture, and its foreground over a colour: docs/background-removed.png."""
    before = Image.open(OUT / FIRST).convert("RGB").crop(box)
    after = Image.open(OUT / FOREGROUND).crop(box)
    both = Image.new("RGB", (2 * before.width + 8, before.height), "white")
    both.paste(before, (0, 0))
    both.paste(Image.new("RGB", after.size, colour), (before.width + 8, 0))
    both.paste(after, (before.width + 8, 0), after)
    return both


def next_steps(segmenter: str) -> list[tuple[str, str]]:
    """What to try after this: commands, and what they do."""
    sakuga = os.path.relpath(Path(sys.executable).with_name("sakuga"))
    return [
        ("make web", "a page for your own pictures, in the browser"),
        (f"{sakuga} upscale your.png -o out/", "a picture of yours, four times as large"),
        (
            f"{sakuga} rembg your.png -o out/cut/ --model {segmenter}",
            "its figure, without the background",
        ),
    ]


def main() -> None:
    OUT.mkdir(exist_ok=True)
    start = time.perf_counter()
    with run_triton(load_config(), free_port()) as server:
        print(
            f"Triton is ready after {time.perf_counter() - start:.1f} s: {', '.join(server.models)}"
        )
        start = time.perf_counter()
        best = "isnet-anime" if protocol.ensemble("isnet-anime") in server.models else "u2net"
        figures = asyncio.run(work(server.url, best))
        print(f"{len(figures)} pictures in {time.perf_counter() - start:.1f} s")
    before_and_after(FIRST, (92, 176, 212, 276)).save(OUT / "before-after.png")
    plain_and_repaired((440, 760, 920, 1160)).save(OUT / "repaired.png")
    foreground_over("#2f7d5b", (960, 1020, 1440, 1420)).save(OUT / "background-removed.png")
    index = OUT / "index.html"
    index.write_text(page(figures), encoding="utf-8")
    print(f"Before and after, side by side: {index.resolve().as_uri()}\n\nNext, for example:")
    steps = next_steps(best)
    width = max(len(command) for command, _ in steps)
    for command, result in steps:
        print(f"  {command:<{width}}  {result}")


if __name__ == "__main__":
    main()
