"""AuraSR side by side: our export, in several engines and over Triton, against the package.

`python benchmarks/enhance.py`; about fifteen minutes on two cores, and 8 GB. Published
weights where they are in the weights folder, else generated ones of the exact architecture.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from measure import Row, side_by_side, write
from upscale import Loop, drawn, served

import reference
from networks_for_tests import AURA, generated_aura
from pictures import encoded
from sakuga import Config
from sakuga_core import protocol
from sakuga_core.networks.registry import ENHANCERS
from sakuga_core.repository import writer
from sakuga_export.architectures.aura import style_vector
from sakuga_export.families import enhancers
from sakuga_export.fetch import weights_folder
from sakuga_export.output import ONNX, TORCHSCRIPT

(ROW,) = ENHANCERS
BATCH = 8  # the package's default
Tiles = Callable[[np.ndarray], np.ndarray]

NOTES = [
    "Tiles: float32 unless stated, all cores; the package runs its default batch of 8. The "
    "difference is the largest to the package with the same style and without its noise, in a "
    "range of 0 to 1.",
    "A picture of 256²: bytes to bytes over Triton, in 25 tiles with a blending window, against "
    "`upscale_4x_overlapped` of a decoded picture, which takes 41 tiles.",
    "bf16 is OpenVINO's, measured on the exported file alone; the embedded server runs float32.",
]

# What `from_pretrained` does, and a batch of 8; what the server does, and as many tiles.
STOCK = """
import torch, reference
theirs = reference.aura(Path(sys.argv[1])).upsampler
with torch.no_grad():
    theirs(lowres_image=torch.rand(8, 3, 64, 64), noise=torch.randn(8, 128))
"""
OURS = """
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
count = int(sys.argv[2])  # tiles a call: 1, as the stand-in for Triton's backend makes of a batch
for _ in range(8 // count):
    session.run(["RESULT_16"], {"IMAGE": numpy.zeros((count, 64, 64, 3), numpy.uint8)})
"""
PEAK = "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"


def peak_of(code: str, file: Path, count: int = BATCH) -> float:
    """Peak memory of a new process, in gigabytes."""
    program = f"import sys\nfrom pathlib import Path\n{code}\n{PEAK}"
    run = [sys.executable, "-c", program, str(file), str(count)]
    return int(subprocess.check_output(run, text=True).split()[-1]) / 2**20


def session(file: Path) -> Tiles:
    engine = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def run(tiles: np.ndarray) -> np.ndarray:
        return np.asarray(engine.run([protocol.NET_RESULT_16], {protocol.NET_IMAGE: tiles})[0])

    return run


def scripted(file: Path) -> Tiles:
    """As the stand-in for Triton's backend runs it."""
    net = torch.jit.load(file)  # type: ignore[no-untyped-call]
    torch._C._set_graph_executor_optimize(False)

    def run(tiles: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            each = [net(tile)[1] for tile in torch.from_numpy(tiles).split(1)]
        return np.asarray(torch.cat(each).numpy())

    return run


def openvino(file: Path, precision: str) -> Tiles:
    from openvino import Core

    settings = {"INFERENCE_PRECISION_HINT": precision}
    compiled = Core().compile_model(str(file), "CPU", settings)

    def run(tiles: np.ndarray) -> np.ndarray:
        return np.asarray(compiled({protocol.NET_IMAGE: tiles})[protocol.NET_RESULT_16])

    return run


def engines(folder: Path) -> dict[str, Tiles]:
    """Every available engine, the server's first."""
    onnx = folder / ONNX
    found = {"onnxruntime": session(onnx), "TorchScript": scripted(folder / TORCHSCRIPT)}
    if find_spec("openvino"):
        found |= {f"OpenVINO {name}": openvino(onnx, name) for name in ("bf16", "f32")}
    else:
        print("openvino isn't installed; its rows are left out")
    return found


def stock(theirs: object, tiles: np.ndarray) -> np.ndarray:
    image = torch.from_numpy(tiles).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        large = theirs(lowres_image=image, noise=torch.randn(len(tiles), 128))  # type: ignore[operator]
    return np.asarray(large.clamp(0, 1).permute(0, 2, 3, 1).numpy())


def tiles_rows(theirs: object, folder: Path) -> list[Row]:
    pixels = drawn(256).reshape(4, 64, 4, 64, 3).swapaxes(1, 2).reshape(16, 64, 64, 3)
    rows = []
    for name, run in engines(folder).items():
        for count in (BATCH, 1) if name == "onnxruntime" else (BATCH,):
            tiles = np.ascontiguousarray(pixels[:count])
            with reference.without_chance(style_vector(128, ROW.style)):
                apart = np.abs(run(tiles) / 65535 - stock(theirs, tiles)).max()
            what = f"{count} tile{'s' * (count > 1)}, {name}"
            both = (lambda r=run, t=tiles: r(t)), (lambda t=tiles: stock(theirs, t))
            runs = 2 if name == "onnxruntime" else 1
            rows.append(side_by_side(what, *both, runs, quality=f"at most {apart:.1e}"))
    return rows


def pictures_rows(theirs: object, config: Config) -> list[Row]:
    loop, picture = Loop(), drawn(256)
    data, opened = encoded(picture), reference.aura_sr().Image.fromarray(picture)
    with served(config, loop) as (images, _):
        both = (
            lambda: loop(images.process(data, "enhance", {})),
            lambda: theirs.upscale_4x_overlapped(opened),  # type: ignore[attr-defined]
        )
        return [side_by_side("256² over Triton, upscale_4x_overlapped", *both, runs=1)]


def exported(checkpoint: Path, folder: Path) -> Config:
    """A repository with the network as ONNX; the TorchScript lies beside it."""
    config = Config()
    config.server.repository, config.server.timeout = folder, 3600
    writer.write(folder, config)
    net = enhancers.load(ROW, checkpoint)
    for name in (ONNX, TORCHSCRIPT):
        enhancers.convert(ROW, net, folder / ROW.folder / "1" / name)
    return config


def memory_of(file: Path, checkpoint: Path) -> str:
    theirs = peak_of(STOCK, checkpoint)
    text = f"Peak memory of loading and {BATCH} tiles, each in a new process: the package in one "
    text += f"batch {theirs:.2f} GB"
    for how, count in (("tile by tile, as the server runs them,", 1), ("in one batch", BATCH)):
        ours = peak_of(OURS, file, count)
        text += f"; ours {how} {ours:.2f} GB, {100 * ours / theirs:.1f} % of it"
    return f"{text}."


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        checkpoint, origin = weights_folder() / ROW.weights[0].file, "published weights"
        if not checkpoint.exists():
            checkpoint, origin = generated_aura(folder, AURA), "generated weights"
        config = exported(checkpoint, folder / "repository")
        files = folder / "repository" / ROW.folder / "1"
        memory = memory_of(files / ONNX, checkpoint)
        print(memory)
        peer = reference.aura(checkpoint)
        rows = tiles_rows(peer.upsampler, files) + pictures_rows(peer, config)
    write("enhance", f"AuraSR, on {origin}", "aura_sr", rows, [memory, *NOTES])


if __name__ == "__main__":
    sys.exit(main())
