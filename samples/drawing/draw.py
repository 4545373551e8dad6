"""Draws Sakuga's sample pictures, so that the project contains no third-party art.

``python samples/drawing/draw.py [OUT_DIR]`` writes the small pictures for the upscaler.
``pictures(size)`` draws the same pictures clean at any scale, to compare results against.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from heroine import heroine
from lineart import lineart
from mascot import mascot
from scenery import sunset

PAINTERS: dict[str, Callable[[float], Image.Image]] = {
    "heroine": heroine,
    "lineart": lineart,
    "sunset": sunset,
    "mascot": mascot,
}
DAMAGE = 25


def picture(name: str, size: float = 1.0) -> Image.Image:
    """One picture by name; at size 2 it has twice the width and height, drawn anew."""
    return PAINTERS[name](size)


def pictures(size: float = 1.0) -> dict[str, Image.Image]:
    """All pictures by name."""
    return {name: picture(name, size) for name in PAINTERS}


def write(folder: Path) -> list[Path]:
    """Write the committed files: each picture as PNG, and the heroine once more, damaged."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = pictures()
    written = []
    for name, image in drawn.items():
        written.append(folder / f"{name}.png")
        image.save(written[-1], optimize=True)
    written.append(folder / f"heroine_q{DAMAGE}.jpg")
    # Halved chroma is what most web pictures have, and what bleeds colour over the ink.
    drawn["heroine"].save(written[-1], quality=DAMAGE, subsampling="4:2:0")
    return written


def main(arguments: list[str]) -> int:
    """Write into the folder given, else into `samples/`."""
    folder = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[1]
    for file in write(folder):
        print(f"{file}  {file.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
