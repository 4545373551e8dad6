"""Repairing before upscaling, against upscaling alone: which is nearer to the original?

`python benchmarks/fix.py [--quick]`; about fifteen minutes on two cores, two with --quick. Every
picture is drawn at twice the size, reduced, and damaged; the original is what was drawn.
"""

import json
import statistics
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from measure import RESULTS, machine
from PIL import Image
from skimage.metrics import structural_similarity
from upscale import Loop, served

from composites import SCENES, composite
from drawn import jpeg, opaque, posterised, psnr, ramp, resaved
from pictures import encoded, pixels_of
from sakuga import Images, Reply, load_config

SIDE, RAMP = 400, 320
# Detailed crops of the samples: left and top, at twice their size.
CROPS = {"heroine": (120, 330), "lineart": (200, 200), "sunset": (480, 60), "mascot": (0, 0)}
QUALITIES = (10, 30, 50)
STEPS = (8, 16, 32)
CUT = (3, 5)
NOTES = [
    "Plain is `upscale` of the same damaged file, with the same network and scale: the anime "
    "network, 2x. Gains are those of `fix_artifacts` over it, in PSNR and in SSIM, against the "
    "original.",
    "The parameters of dequantisation and smoothing were chosen on the samples, on hair over flat, "
    "gradient, hatching and paint, on glow over gradient, and on ink and veil over checker; the "
    "other scenes are held out.",
    "Pictures are reduced by 2×2 averaging. Re-saved means decoded, cropped by 3 columns and 5 "
    "rows, and saved as PNG, so that grid and quality have to be estimated from the pixels.",
]


@dataclass(frozen=True)
class Gain:
    """One picture, damaged in one way."""

    damage: str
    picture: str
    plain_db: float
    gain_db: float
    plain_ssim: float
    gain_ssim: float
    repair_share: float
    """Time of detection, restoration and inpainting, divided by that of the network."""


@dataclass(frozen=True)
class Total:
    """All pictures that were damaged in one way: means, and the smallest gains."""

    damage: str
    pictures: int
    plain_db: float
    gain_db: float
    least_db: float
    gain_ssim: float
    least_ssim: float
    repair_share: float
    """The median of `Gain.repair_share`."""


def originals() -> dict[str, np.ndarray]:
    """uint8 (SIDE, SIDE, 3) each."""
    crops = {
        name: opaque(name, 2)[top : top + SIDE, left : left + SIDE]
        for name, (left, top) in CROPS.items()
    }
    return crops | {name: composite(name, SIDE, SIDE).colour for name in SCENES}


def reduced(pixels: np.ndarray) -> np.ndarray:
    height, width = (side // 2 for side in pixels.shape[:2])
    half = Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)
    return np.asarray(half)


def damages(original: np.ndarray) -> Iterator[tuple[str, bytes, np.ndarray]]:
    """Each way a picture is damaged: its name, the file, and what it should become at 2x."""
    half = reduced(original)
    for quality in QUALITIES:
        yield f"JPEG {quality}", jpeg(half, quality), original
    yield "JPEG 30, 4:4:4", jpeg(half, 30, "4:4:4"), original
    cut = original[2 * CUT[1] :, 2 * CUT[0] :]
    yield "JPEG 30, re-saved", encoded(resaved(half, 30, cut=CUT)), cut


def gain(images: Images, loop: Loop, what: tuple[str, str], data: bytes, truth: np.ndarray) -> Gain:
    repaired, plain = (
        loop(images.run(data, action, {"scale": 2})) for action in ("fix_artifacts", "upscale")
    )
    assert isinstance(repaired, Reply)
    assert isinstance(plain, Reply)
    ours, theirs = (judged(reply, truth) for reply in (repaired, plain))
    took = repaired.report["milliseconds"]
    share = (took["detect"] + took["restore"] + took["inpaint"]) / took["network"]
    row = Gain(
        *what,
        plain_db=round(theirs[0], 2),
        gain_db=round(ours[0] - theirs[0], 2),
        plain_ssim=round(theirs[1], 4),
        gain_ssim=round(ours[1] - theirs[1], 4),
        repair_share=round(share, 3),
    )
    print(row, flush=True)
    return row


def judged(reply: Reply, truth: np.ndarray) -> tuple[float, float]:
    """PSNR and SSIM."""
    pixels = pixels_of(reply.result)[: truth.shape[0], : truth.shape[1]]
    same = truth[: pixels.shape[0], : pixels.shape[1]]
    return psnr(pixels, same), float(structural_similarity(pixels, same, channel_axis=2))


def compression(images: Images, loop: Loop, quick: bool) -> list[Gain]:
    pictures = originals()
    names = list(pictures)[:3] if quick else list(pictures)
    return [
        gain(images, loop, (damage, name), data, truth)
        for name in names
        for damage, data, truth in damages(pictures[name])
    ]


def gradients(images: Images, loop: Loop, quick: bool) -> list[Gain]:
    return [
        gain(
            images,
            loop,
            (f"posterised by {step}", f"gradient {seed}"),
            encoded(posterised(reduced(original), step)),
            original,
        )
        for seed in range(2 if quick else 10)
        for step in STEPS
        for original in (ramp(seed, RAMP, RAMP),)
    ]


def clean(images: Images, loop: Loop, quick: bool) -> str:
    """How far the results of undamaged pictures are from plain upscaling."""
    pictures = originals()
    names = list(pictures)[:2] if quick else list(pictures)
    furthest, found = 0, 0
    for name in names:
        data = encoded(reduced(pictures[name]))
        repaired = loop(images.run(data, "fix_artifacts", {"scale": 2}))
        plain = loop(images.run(data, "upscale", {"scale": 2}))
        assert isinstance(repaired, Reply)
        assert isinstance(plain, Reply)
        found += bool(repaired.report["regions"])
        apart = pixels_of(repaired.result).astype(int) - pixels_of(plain.result)
        furthest = max(furthest, int(np.abs(apart).max()))
    return (
        f"Undamaged pictures: damage is detected in {found} of {len(names)}; the results differ by "
        f"at most {furthest} levels from plain upscaling."
    )


def totals(rows: list[Gain]) -> Iterator[Total]:
    """One for each type of damage."""
    for damage in dict.fromkeys(row.damage for row in rows):
        of = [row for row in rows if row.damage == damage]
        decibels, ssims = [row.gain_db for row in of], [row.gain_ssim for row in of]
        yield Total(
            damage,
            len(of),
            plain_db=statistics.mean(row.plain_db for row in of),
            gain_db=statistics.mean(decibels),
            least_db=min(decibels),
            gain_ssim=statistics.mean(ssims),
            least_ssim=min(ssims),
            repair_share=statistics.median(row.repair_share for row in of),
        )


def table(rows: list[Gain]) -> Iterator[str]:
    yield "| damage | pictures | plain, dB | gain, dB | least | gain, SSIM | least | repairing |"
    yield "|---|---|---|---|---|---|---|---|"
    for all_of in totals(rows):
        yield (
            f"| {all_of.damage} | {all_of.pictures} | {all_of.plain_db:.2f} | "
            f"{all_of.gain_db:+.2f} | {all_of.least_db:+.2f} | {all_of.gain_ssim:+.4f} | "
            f"{all_of.least_ssim:+.4f} | {100 * all_of.repair_share:.0f} % |"
        )


def each(rows: Iterable[Gain]) -> Iterator[str]:
    yield "| picture | damage | plain, dB | gain, dB | plain, SSIM | gain, SSIM |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        yield (
            f"| {row.picture} | {row.damage} | {row.plain_db} | {row.gain_db:+.2f} | "
            f"{row.plain_ssim} | {row.gain_ssim:+.4f} |"
        )


def write(rows: list[Gain], notes: list[str]) -> None:
    about = machine()
    everything = {"machine": about, "rows": [asdict(row) for row in rows], "notes": notes}
    (RESULTS / "fix.json").write_text(json.dumps(everything, indent=2) + "\n")
    lines = ["# Repairing\n", ", ".join(f"{key} {value}" for key, value in about.items()) + ".\n"]
    lines += [*table(rows), "", *(f"- {note}" for note in notes)]
    lines += [
        "- `repairing`: time to detect, restore and inpaint, as a share of the network's.",
        "",
    ]
    (RESULTS / "fix.md").write_text("\n".join([*lines, *each(rows)]) + "\n")


def main(quick: bool) -> None:
    config, loop = load_config(), Loop()
    with served(config, loop) as (images, _):
        rows = compression(images, loop, quick) + gradients(images, loop, quick)
        undamaged = clean(images, loop, quick)
    print("\n".join([*table(rows), undamaged]))
    if not quick:
        write(rows, [*NOTES, undamaged])


if __name__ == "__main__":
    main("--quick" in sys.argv)
