"""What `make run` shows: the samples enlarged by a real Triton, before and after, on one page."""

import asyncio
import base64
import html
import time
from pathlib import Path
from string import Template

from PIL import Image

from sakuga import Images, Reply, connect, load_config
from sakuga_server.embedded import free_port, run_triton

SAMPLES = Path(__file__).parent
OUT = Path("out")
FIRST, FOLDER = "heroine.png", ["lineart.png", "sunset.png", "mascot.png", "heroine_q25.jpg"]

FIGURE = Template("""
<figure style="--width: ${width}px; aspect-ratio: $width / $height">
  <img src="$before" alt="$name before"><img class="after" src="$after" alt="$name after">
  <input type="range" min="0" max="100" value="50" aria-label="before and after: $name"
         oninput="this.parentNode.style.setProperty('--cut', this.value + '%')">
  <figcaption>$caption</figcaption>
</figure>""")


async def enlarge(url: str) -> dict[str, Reply]:
    """The first sample alone, then the folder of the others at once."""
    async with connect(url=url) as images:
        replies = {FIRST: await _one(images, FIRST)}
        rest = await asyncio.gather(*(_one(images, name) for name in FOLDER))
    return replies | dict(zip(FOLDER, rest, strict=True))


async def _one(images: Images, name: str) -> Reply:
    reply = await images.run((SAMPLES / name).read_bytes(), "upscale")
    target = (OUT / name).with_suffix(".png")
    target.write_bytes(reply.result)
    print(f"  {target}: {describe(reply)}")
    return reply


def describe(reply: Reply) -> str:
    """Sizes, and the milliseconds of each stage, as a line."""
    sides = [reply.report[side] for side in ("input", "output")]
    sizes = " to ".join(f"{side['width']}x{side['height']}" for side in sides)
    stages = ", ".join(f"{name} {ms:.0f}" for name, ms in reply.report["milliseconds"].items())
    return f"{sizes}; ms: {stages}"


def page(replies: dict[str, Reply]) -> str:
    """A page with everything in it: it can be mailed, or opened years later."""
    figures = "".join(figure(name, reply) for name, reply in replies.items())
    template = Template((SAMPLES / "page.html").read_text(encoding="utf-8"))
    return template.substitute(figures=figures)


def figure(name: str, reply: Reply) -> str:
    source = (SAMPLES / name).read_bytes()
    kind = "jpeg" if name.endswith("jpg") else "png"
    return FIGURE.substitute(
        name=html.escape(name),
        width=reply.report["output"]["width"],
        height=reply.report["output"]["height"],
        before=f"data:image/{kind};base64,{base64.b64encode(source).decode()}",
        after=f"data:image/png;base64,{base64.b64encode(reply.result).decode()}",
        caption=html.escape(f"{name}: {reply.report['model']}, {describe(reply)}"),
    )


def before_and_after(name: str, box: tuple[int, int, int, int]) -> Image.Image:
    """A part of a sample, as a viewer would enlarge it and as Sakuga did: the README's picture."""
    left, top, right, bottom = (4 * edge for edge in box)
    size = (right - left, bottom - top)
    before = Image.open(SAMPLES / name).crop(box).resize(size, Image.Resampling.BICUBIC)
    both = Image.new("RGB", (2 * size[0] + 8, size[1]), "white")
    both.paste(before, (0, 0))
    both.paste(Image.open(OUT / name).crop((left, top, right, bottom)), (size[0] + 8, 0))
    return both


def main() -> None:
    OUT.mkdir(exist_ok=True)
    start = time.perf_counter()
    with run_triton(load_config(), free_port()) as server:
        print(
            f"Triton serves after {time.perf_counter() - start:.1f} s: {', '.join(server.models)}"
        )
        start = time.perf_counter()
        replies = asyncio.run(enlarge(server.url))
        print(f"{len(replies)} pictures in {time.perf_counter() - start:.1f} s")
    before_and_after(FIRST, (92, 176, 212, 276)).save(OUT / "before-after.png")
    index = OUT / "index.html"
    index.write_text(page(replies), encoding="utf-8")
    print(f"Before and after, side by side: {index.resolve().as_uri()}")


if __name__ == "__main__":
    main()
