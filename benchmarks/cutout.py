"""Cutting out side by side: Sakuga over a running Triton, against the rembg library.

`python benchmarks/cutout.py [--quick]`; about ten minutes on two cores, one with --quick.
"""

import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rembg
from measure import Row, difference, side_by_side, write
from upscale import Loop

from draw import picture
from pictures import encoded, pixels_of
from sakuga import Images, Reply, connect, load_config
from sakuga_export.fetch import fetch
from sakuga_export.networks import by_name
from sakuga_server.embedded import free_port, run_triton

MODEL = "u2net"
MEGAPIXELS = (1, 2, 4)
CASES = {
    "plain": {"alpha_matting": False},
    "with matting": {
        "alpha_matting": True,
        "alpha_matting_foreground_threshold": 240,
        "alpha_matting_background_threshold": 10,
        "alpha_matting_erode_size": 10,
    },
}
NOTES = [
    "Both sides go from the bytes of a PNG to the bytes of a PNG, by the same weights. rembg's "
    "session is made once and used for every picture. Thresholds are its defaults, 240 and 10, at "
    "which both sides matte.",
    "Differences are those of the two alphas. With matting, Sakuga's stops within a fraction of a "
    "level of PyMatting's system; matting.md measures both against the truth.",
    "Sakuga estimates the figure's own colour under soft edges in plain cut-outs, too, which rembg "
    "doesn't; `estimate_foreground: false` saves that.",
]


def session() -> object:
    """rembg's, on the file that ours was converted from."""
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / f"{MODEL}.onnx").symlink_to(fetch(by_name(MODEL).weights[0]).path)
        os.environ["U2NET_HOME"] = home
        return rembg.new_session(MODEL)


def drawn(megapixels: float) -> bytes:
    """The heroine, drawn at the size at which she has so many pixels."""
    return encoded(np.asarray(picture("heroine", size=(megapixels * 1e6 / (360 * 480)) ** 0.5)))


def compare(images: Images, loop: Loop, megapixels: tuple[int, ...]) -> list[Row]:
    peer, rows = session(), []
    for name, options in CASES.items():
        for size in megapixels:
            data = drawn(size)
            ours, theirs = sides(images, loop, peer, data, options)
            alphas = [pixels_of(side())[..., 3] for side in (ours, theirs)]
            quality = (
                difference(*alphas) + f"; {stages(loop(images.run(data, 'rembg', full(options))))}"
            )
            runs = 3 if size > 2 else 5
            rows.append(side_by_side(f"{name}, {size} megapixels", ours, theirs, runs, quality))
    return rows


def sides(
    images: Images, loop: Loop, peer: object, data: bytes, options: dict[str, object]
) -> tuple[Callable[[], bytes], Callable[[], bytes]]:
    def ours() -> bytes:
        return loop(images.process(data, "rembg", full(options)))  # type: ignore[return-value]

    def theirs() -> bytes:
        return rembg.remove(data, session=peer, **options)  # type: ignore[return-value]

    return ours, theirs


def full(options: dict[str, object]) -> dict[str, object]:
    return {"model": MODEL, **options}


def stages(reply: object) -> str:
    """Where the time of a cut-out went."""
    assert isinstance(reply, Reply)
    spent = reply.report["milliseconds"]
    return "ms: " + ", ".join(f"{name} {ms:.0f}" for name, ms in spent.items())


def main(quick: bool) -> None:
    config, loop = load_config(), Loop()
    with run_triton(config, free_port(), io.StringIO()) as server:
        connection = connect(config, url=server.url)
        images = loop(connection.__aenter__())
        assert isinstance(images, Images)
        rows = compare(images, loop, MEGAPIXELS[:1] if quick else MEGAPIXELS)
        loop(connection.__aexit__(None, None, None))
    if not quick:
        write("cutout", "Cutting out", "rembg", rows, NOTES)


if __name__ == "__main__":
    sys.exit(main("--quick" in sys.argv))
