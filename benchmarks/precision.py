"""What half precision changes: each network's float16 graph against its float32 one, on drawings,
and bfloat16, of upscalers.

`python benchmarks/precision.py`; about ten minutes on two cores. The graphs are calculated on any
CPU as a GPU would: every result of a node is rounded to float16. So is bfloat16.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from measure import store

import bfloat16
from drawn import varied
from networks_for_tests import (
    AURA,
    EXPORTED,
    PROJECT,
    generated_aura,
    generated_isnet,
    generated_states,
)
from sakuga_core.networks.families import HALF_FILE, Segmenter, Upscaler
from sakuga_core.networks.registry import ENHANCERS, MEMBERS, SEGMENTERS, UPSCALERS, by_name
from sakuga_export.families import enhancers, graph, half, segmenters, upscalers
from sakuga_export.output import ONNX

SIDE, STEP = 48, 150  # of squares of drawings, and how far they are apart
MASKED = 8  # drawings for background removal
NOTES = [
    "Against the float32 graph, over squares of drawings, in levels of 255; the PSNR is of 16-bit "
    "results, and of masks. An export, on pictures of its own, is refused over 2 levels or under "
    "58 dB; aura-sr-v2 over 2.55 levels.",
    "In float32 stay the ends, the first layer, sums of residual branches, and layers with large "
    "biases.",
    "Where weights are generated, they are of the published architecture and size; real ones are "
    "compared when they are exported.",
    "bfloat16 is calculated in torch: weights and what goes in and out of every layer are rounded. "
    "`used`: whether `precision: auto` takes it on a CPU that has it.",
]


@dataclass(frozen=True)
class Row:
    """One network."""

    network: str
    weights: str
    megabytes: float
    """Of the half-precision file."""
    layers: str
    """In float16, of all."""
    levels: float
    """Largest difference, of 255."""
    decibels: float
    """PSNR."""


def squares(side: int) -> np.ndarray:
    """uint8 (N, side, side, 3), from all over the drawings."""
    cuts = [
        drawing[y : y + side, x : x + side]
        for drawing in varied().values()
        for y in range(0, drawing.shape[0] - side, STEP)
        for x in range(0, drawing.shape[1] - side, STEP)
    ]
    return np.stack(cuts)


def layers(file: Path) -> str:
    """How many of a half-precision graph's convolutions and matrix products give float16."""
    model = onnx.load(file)
    halves = half.of_type(model, half.HALF)
    nodes = [node for node in model.graph.node if node.op_type in half.CONVOLUTIONS]
    return f"{sum(node.output[0] in halves for node in nodes)} of {len(nodes)}"


@dataclass(frozen=True)
class Rounded:
    """One network in bfloat16."""

    network: str
    levels: float
    decibels: float
    worst: float
    """PSNR of the worst square."""
    used: bool


Run = Callable[[graph.Session], np.ndarray]


def compared(name: str, weights: str, folder: Path, run: Run, most: float) -> Row:
    """A row, of a folder with both files.

    Args:
        run: gives a session's results, whose range ends at `most`.
    """
    exact, rough = folder / ONNX, folder / HALF_FILE
    simulated = folder / "simulated.onnx"
    onnx.save(half.emulated(onnx.load(rough)), simulated)
    expected, found = (run(graph.session(file)) for file in (exact, simulated))
    simulated.unlink()
    difference = (found.astype(np.float64) - expected) * 255 / most
    megabytes = rough.stat().st_size / 1e6
    off, ratio = float(np.abs(difference).max()), graph.psnr(difference)
    row = Row(name, weights, megabytes, layers(rough), off, ratio)
    print(row, flush=True)
    return row


def upscaler(network: Upscaler, temporary: Path) -> Row:
    folder, weights = PROJECT / "model_repository" / network.folder / "1", "published"
    if not (folder / HALF_FILE).exists():
        folder, weights = temporary / network.folder, "generated"
        upscalers.convert(network, generated_states(network), folder / ONNX)
    deep = squares(SIDE).astype(np.uint16) * 257
    strength = 0.5 if network.denoise else None
    return compared(network.name, weights, folder, lambda s: in_parts(s, deep, strength), 65535)


def in_parts(session: graph.Session, deep: np.ndarray, strength: float | None = None) -> np.ndarray:
    """Results of many squares, four at a time."""
    parts = np.array_split(deep, -(-len(deep) // 4))
    return np.concatenate([graph.run_file(session, part, strength) for part in parts])


def segmenter(network: Segmenter, temporary: Path) -> Row:
    folder, weights = PROJECT / "model_repository" / network.folder / "1", "published"
    if not (folder / HALF_FILE).exists():
        folder, weights = temporary / network.folder, "generated"
        segmenters.convert(network, generated_isnet(temporary), folder / ONNX)
    drawings = [*varied().values()][:MASKED]
    pictures = [cv2.resize(d, (network.side,) * 2, interpolation=cv2.INTER_AREA) for d in drawings]

    def run(session: graph.Session) -> np.ndarray:
        return np.stack([segmenters.run_file(network, session, p[None])[0] for p in pictures])

    return compared(network.name, weights, folder, run, 1)


def rows(temporary: Path) -> Iterator[Row]:
    # The others are of an architecture that is here, on weights that can't be had everywhere.
    for network in (each for each in UPSCALERS if each.name != "realesrgan-x4plus"):
        yield upscaler(network, temporary)
    for name in ("u2net", "isnet-anime"):
        yield segmenter(next(each for each in SEGMENTERS if each.name == name), temporary)
    (enhancer,) = ENHANCERS
    folder = temporary / enhancer.folder
    net = enhancers.load(enhancer, generated_aura(temporary, AURA))
    enhancers.convert(enhancer, net, folder / ONNX)
    tiles = squares(enhancer.side)[:16].astype(np.uint16) * 257
    yield compared(enhancer.name, "generated", folder, lambda s: in_parts(s, tiles), 65535)


def rounded() -> Iterator[Rounded]:
    """Of published weights, and of families the usual denoise level."""
    single = [by_name(name) for name in EXPORTED]
    pictures = squares(SIDE)[::3]
    for network in (*single, *(row for row in MEMBERS if row.is_usual)):
        assert isinstance(network, Upscaler)
        exact, rough = (bfloat16.results(network, pictures, each) for each in (False, True))
        off = rough.astype(np.float64) - exact
        worst = min(map(graph.psnr, off))
        most = float(np.abs(off).max())
        row = Rounded(network.name, most, graph.psnr(off), worst, network.bf16)
        print(row, flush=True)
        yield row


def table(found: list[Row], others: list[Rounded]) -> list[str]:
    return [
        "| network | weights | file, MB | layers in float16 | most levels off | PSNR, dB |",
        "|---|---|---|---|---|---|",
        *(
            f"| {r.network} | {r.weights} | {r.megabytes:.1f} | {r.layers} | {r.levels:.2f} "
            f"| {r.decibels:.1f} |"
            for r in found
        ),
        "",
        "| network, in bfloat16 | most levels off | PSNR, dB | of the worst square | used |",
        "|---|---|---|---|---|",
        *(
            f"| {r.network} | {r.levels:.0f} | {r.decibels:.1f} | {r.worst:.1f} "
            f"| {'yes' if r.used else 'no'} |"
            for r in others
        ),
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        found = list(rows(Path(temporary)))
    others = list(rounded())
    data = {"rows": [asdict(row) for row in found], "bfloat16": [asdict(row) for row in others]}
    store("precision", "Half precision against float32", data, table(found, others), NOTES)
