"""Matting side by side: Sakuga against PyMatting, on drawn composites whose alpha is known.

`PYTHONPATH=tests/support python benchmarks/matting.py [--quick]`; about ten minutes on two
cores, three with --quick.
"""

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pymatting
from measure import Row, side_by_side, write

from composites import Composite, colour_error, composite, gradient_error, sad, trimap_of
from sakuga_server.matting.closed_form import estimate_alpha, estimate_foreground, warm_up

# Height and width; the scenes, by the side of the network's mask: 320 (u2net) or 1024 (isnet).
SCENES_OF = {
    (1024, 1024): {
        "hair over flat": 320,
        "hair over gradient": 1024,
        "hair over paint": 320,
        "glow over paint": 320,
        "ink over checker": 320,
        "ink over noise": 320,
        "veil over paint": 1024,
        "ribbons over noise": 320,
    },
    (2048, 1448): {
        "hair over flat": 320,
        "hair over paint": 320,
        "veil over paint": 1024,
        "ink over noise": 320,
    },
    (2048, 2048): {"hair over flat": 320, "hair over paint": 320, "hair over gradient": 1024},
    (2715, 3840): {"hair over flat": 320, "hair over paint": 320, "hair over gradient": 1024},
}
RUNS = 2
NOTES = [
    "The peer: pymatting.estimate_alpha_cf and estimate_foreground_ml with their defaults, its "
    "conversion of the picture to float64 included. Both get the same trimap, computed as in rembg "
    "(thresholds 240 and 10, erosion 10) from the ground-truth alpha, reduced to a mask of 320² or "
    "1024² and resized back by LANCZOS.",
    "Difference: our error divided by PyMatting's, against the ground truth; below 1, ours is "
    "nearer. The gradient error is that of alphamatting.com (sigma 1.4).",
    "PyMatting's errors depend on rounding: it inverts nearly singular covariances by cofactors, "
    "which puts coefficients of its Laplacian off by up to 0.006. Where the picture "
    "determines little (a flat veil over a smooth background), either side may win by far from one "
    "size to the next.",
    "A background of noise is the least favourable: PyMatting's solver converges after a few "
    "iterations.",
    "Memory: peak resident memory of a process (VmHWM), imports included, for a 4K composite: ours "
    "and the peer's, in MiB instead of seconds.",
]
MEMORY = """
import sys, numpy as np
data = np.load(sys.argv[1])
if sys.argv[2] == "ours":
    from sakuga_server.matting.closed_form import estimate_alpha, estimate_foreground
    estimate_foreground(data["colour"], estimate_alpha(data["colour"], data["trimap"]))
else:
    import pymatting
    picture = data["colour"] / 255.0
    alpha = pymatting.estimate_alpha_cf(picture, data["trimap"] / 255.0)
    pymatting.estimate_foreground_ml(picture, alpha)
status = open("/proc/self/status").read()
print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


def compare(name: str, made: Composite, trimap: np.ndarray) -> Iterator[Row]:
    colour, found = made.colour, {}

    def ours() -> None:
        found["ours"] = estimate_alpha(colour, trimap)

    def theirs() -> None:
        found["peer"] = pymatting.estimate_alpha_cf(colour / 255.0, trimap / 255.0)

    def our_colours() -> None:
        found["ours"] = estimate_foreground(colour, made.alpha)

    def their_colours() -> None:
        found["peer"] = 255 * pymatting.estimate_foreground_ml(colour / 255.0, made.alpha)

    row = side_by_side(f"{name}, alpha", ours, theirs, RUNS)
    absolute, gradient = (
        error(found["ours"], made.alpha) / error(found["peer"], made.alpha)
        for error in (sad, gradient_error)
    )
    share = f"{100 * np.mean(trimap == 128):.0f} % unknown"
    yield replace(row, quality=f"SAD {absolute:.3f}, gradient {gradient:.3f}; {share}")
    row = side_by_side(f"{name}, foreground", our_colours, their_colours, RUNS)
    mine, other = (
        colour_error(found[side], made.foreground, made.alpha) for side in ("ours", "peer")
    )
    yield replace(row, quality=f"colour error {mine / other:.3f}")


def memory(made: Composite, trimap: np.ndarray) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "composite.npz"
        np.savez(file, colour=made.colour, trimap=trimap)
        held = []
        for side in ("ours", "theirs"):
            command = [sys.executable, "-W", "ignore", "-c", MEMORY, str(file), side]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            held.append(float(done.stdout.split()[-1]))
    row = Row("memory at 4K, MiB", held[0], held[1], round(held[1] / held[0], 2), "")
    print(row, flush=True)
    return row


def main(quick: bool) -> None:
    warnings.simplefilter("ignore")  # PyMatting's preconditioner fails now and then, and says so
    warm_up()
    rows: list[Row] = []
    for (height, width), scenes in list(SCENES_OF.items())[: 1 if quick else None]:
        for name, side in scenes.items():
            made = composite(name, height, width)
            trimap = trimap_of(made.alpha, side)
            rows += compare(f"{name}, {width}×{height}, mask {side}²", made, trimap)
            print(rows[-2].quality, rows[-1].quality, flush=True)
    if not quick:
        rows.append(memory(made, trimap))
        write("matting", "Matting", "PyMatting", rows, NOTES)


if __name__ == "__main__":
    sys.exit(main("--quick" in sys.argv))
