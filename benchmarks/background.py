"""Background removal side by side: Sakuga over a running Triton, against the rembg library.

`python benchmarks/background.py [--quick]`; about ten minutes on two cores, one with --quick.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import rembg
from measure import Row, difference, side_by_side, write
from upscale import Loop, served

from composites import Composite, composite, sad
from draw import picture
from pictures import encoded, pixels_of
from sakuga import Images, load_config
from sakuga_core.networks.registry import by_name
from sakuga_export.fetch import fetch

Options = dict[str, object]
Judge = Callable[[np.ndarray, np.ndarray], str]

MODEL = "u2net"
MEGAPIXELS = (1, 2, 4)
PLAIN: Options = {"alpha_matting": False}
MATTED: Options = {
    "alpha_matting": True,
    "alpha_matting_foreground_threshold": 240,
    "alpha_matting_background_threshold": 10,
    "alpha_matting_erode_size": 10,
}
NOTES = [
    "Both sides go from the bytes of a PNG to the bytes of a PNG, with the same weights. rembg's "
    "session is created once and used for every picture. Thresholds are rembg's defaults, 240 and "
    "10, at which both sides run alpha matting.",
    "The mascot is composited over a drawn background, so its alpha is known: the error is the "
    "sum of absolute differences (SAD) from it, including the network's mistakes. Where the mask "
    "leaves a wide region unknown, such as the heroine's white sleeve in front of a white cloud, "
    "the matting problem has no unique solution and the two sides may differ by any amount; "
    "matting.md has the errors of the matting alone.",
    "PyMatting's solver needs many iterations on the heroine's flat colours, and fewer on the "
    "mascot's textured background.",
    "Without matting, too, Sakuga estimates the foreground colours under soft edges, which rembg "
    "doesn't; `estimate_foreground: false` skips that.",
]


def session() -> object:
    """A session of rembg, with the file that ours was converted from."""
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / f"{MODEL}.onnx").symlink_to(fetch(by_name(MODEL).weights[0]).path)
        os.environ["U2NET_HOME"] = home
        return rembg.new_session(MODEL)


def heroine(megapixels: float) -> np.ndarray:
    """The heroine, drawn at a size of this many megapixels."""
    return np.asarray(picture("heroine", size=(megapixels * 1e6 / (360 * 480)) ** 0.5))


def mascot(megapixels: float) -> Composite:
    side = round((megapixels * 1e6) ** 0.5)
    return composite("mascot over paint", side, side)


def compare(images: Images, loop: Loop, sizes: tuple[int, ...]) -> list[Row]:
    peer, rows = session(), []

    def row(what: str, size: int, pixels: np.ndarray, options: Options, judge: Judge) -> None:
        ours, theirs = sides(images, loop, peer, encoded(pixels), options)
        quality = judge(*(pixels_of(side())[..., 3] for side in (ours, theirs)))
        rows.append(side_by_side(f"{what}, {size} MP", ours, theirs, 3, quality))

    for size in sizes:
        row("the heroine, plain", size, heroine(size), PLAIN, difference)
    for size in sizes:
        row("the heroine, with matting", size, heroine(size), MATTED, mean_difference)
    for size in sizes:
        made = mascot(size)
        row("the mascot, with matting", size, made.colour, MATTED, partial(errors, made.alpha))
    return rows


def mean_difference(ours: np.ndarray, theirs: np.ndarray) -> str:
    return f"{np.abs(ours.astype(float) - theirs).mean():.1f} levels apart on average"


def errors(truth: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> str:
    mine, other = (sad(found / 255, truth) for found in (ours, theirs))
    return f"error {mine / other:.3f} of rembg's"


def sides(
    images: Images, loop: Loop, peer: object, data: bytes, options: Options
) -> tuple[Callable[[], bytes], Callable[[], bytes]]:
    def ours() -> bytes:
        return loop(images.process(data, "rembg", full(options)))  # type: ignore[return-value]

    def theirs() -> bytes:
        return rembg.remove(data, session=peer, **options)  # type: ignore[return-value]

    return ours, theirs


def full(options: Options) -> Options:
    return {"model": MODEL, **options}


def main(quick: bool) -> None:
    config, loop = load_config(), Loop()
    with served(config, loop) as (images, _):
        rows = compare(images, loop, MEGAPIXELS[:1] if quick else MEGAPIXELS)
    if not quick:
        write("background", "Background removal", "rembg", rows, NOTES)


if __name__ == "__main__":
    sys.exit(main("--quick" in sys.argv))
