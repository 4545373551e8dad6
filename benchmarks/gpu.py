"""AuraSR's network on a GPU, baked against its own package: torch and numpy, and nothing fetched.

`python benchmarks/gpu.py [--device cpu] [--small] [--compile] [--out FOLDER]`, with the project's
checkout around it. Weights are generated: they make no difference to speed. Times are of the
network over all tiles of a picture, in whole batches, the picture on the device; without blending,
files and serving.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

PROJECT = Path(__file__).parents[1]
if not find_spec("sakuga_export"):
    sys.path[:0] = [str(PROJECT / part / "src") for part in ("export", "client")]

from sakuga_export.architectures import aura  # noqa: E402

SIDE, MIX = 64, 16  # of tiles, and over which neighbours mix; see the server's blending
KILOMACS = 29050  # a pixel, at the published size
STOCK_BATCH = 8  # the package's own default
BATCHES = (1, 8, 16, 32, 64)

Net = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Row:
    """One picture through one kind of network."""

    network: str
    precision: str
    side: int
    """Of the picture, in pixels; the result has four times that."""
    tiles: int
    batch: int
    milliseconds: float
    """Median."""
    peak_gb: float
    """Most that torch held on the device, weights included; 0 on a CPU."""
    tflops: float
    """Two operations a multiply-accumulate, in 10^12 a second; 0 at other than the full size."""
    error: float
    """Largest difference to float32, in parts of the range of its results."""


def windows(side: int) -> int:
    """Tiles of a square picture that overlap by MIX pixels."""
    along = max(1, -(-(side - MIX) // (SIDE - MIX)))
    return along * along


def two_passes(side: int) -> int:
    """Tiles that the package takes for the same."""
    along = -(-side // SIDE)
    return along**2 + (along + 1) ** 2


def generated(shape: aura.Shape, device: torch.device) -> nn.Module:
    torch.manual_seed(0)
    with device:
        return aura.AuraSR(shape).eval()


def of_type(net: nn.Module, dtype: torch.dtype) -> Net:
    net = net.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    clear(next(net.parameters()).device)

    def run(tiles: Tensor) -> Tensor:
        ready = tiles.to(dtype=dtype, memory_format=torch.channels_last)
        result: Tensor = net(ready)
        return result

    return run


def graphed(run: Net, example: Tensor) -> Net:
    """The same as one CUDA graph, for one size of batch."""
    held = example.clone()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run(held)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = run(held)

    # A graph reads weights where they lay, and doesn't hold them: `network` does.
    def replay(tiles: Tensor, network: Net = run) -> Tensor:
        held.copy_(tiles)
        graph.replay()
        return result

    return replay


def stock(shape: aura.Shape, device: torch.device) -> Net | None:
    """The package's network, where it can be imported."""
    try:
        from aura_sr import UnetUpsampler
    except (ImportError, RuntimeError) as error:
        print(f"without aura_sr, for {error}")
        return None
    style = {"dim_in": shape.style, "dim_out": 8 * shape.dim, "depth": 4}
    sizes = {"image_size": 4 * SIDE, "input_image_size": SIDE, "skip_connect_scale": shape.skip}
    net = UnetUpsampler(style_network=style, dim=shape.dim, unconditional=True, **sizes)
    net = net.to(device).eval()
    return lambda tiles: net(
        lowres_image=tiles, noise=torch.randn(len(tiles), shape.style, device=device)
    )


def settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def milliseconds(run: Net, batch: Tensor, tiles: int, runs: int) -> float:
    """Of all tiles of a picture, in whole batches; the median after one uncounted run."""
    times = []
    for _ in range(runs + 1):
        settle(batch.device)
        start = time.perf_counter()
        for _ in range(-(-tiles // len(batch))):
            run(batch)
        settle(batch.device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:]) * 1000


def peak(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0


def kinds(
    arguments: argparse.Namespace, shape: aura.Shape, batch: Tensor
) -> Iterator[tuple[str, Net]]:
    """Precisions, one at a time, so that no other's weights count as its memory."""
    on_gpu = batch.device.type == "cuda"
    name, short = ("fp16", torch.float16) if on_gpu else ("bf16", torch.bfloat16)

    def net(dtype: torch.dtype) -> Net:
        return of_type(generated(shape, batch.device), dtype)

    torch.backends.cudnn.allow_tf32 = False
    yield "fp32", net(torch.float32)
    torch.backends.cudnn.allow_tf32 = True  # torch's own default, and so the package's
    if on_gpu:
        yield "TF32", net(torch.float32)
    yield name, net(short)
    others = {"CUDA graph": lambda: graphed(net(short), batch)} if on_gpu else {}
    if arguments.compile:
        others["compiled"] = lambda: torch.compile(net(short))
    for how, make in others.items():
        if run := working(how, make, batch):
            yield f"{name}, {how}", run
        del run


def working(how: str, make: Callable[[], Net], batch: Tensor) -> Net | None:
    """Not everywhere do they: torch.compile asks for a compiler, graphs for memory."""
    try:
        run = make()
        run(batch)
    except RuntimeError as error:
        print(f"without {how}, for {error}")
        return None
    return run


def baked(arguments: argparse.Namespace, shape: aura.Shape, batch: Tensor) -> Iterator[Row]:
    device, exact = batch.device, None
    kilomacs = KILOMACS if shape == aura.Shape() else 0
    for precision, run in kinds(arguments, shape, batch):
        found = run(batch).float()
        exact = found.clone() if exact is None else exact
        error = float((found - exact).abs().max() / (exact.max() - exact.min()))
        for side in arguments.sides:
            tiles = windows(side)
            took = milliseconds(run, batch, tiles, arguments.runs)
            done = -(-tiles // len(batch)) * len(batch) * SIDE**2 * kilomacs * 2e3
            tflops = done / took / 1e9
            sizes = (side, tiles, len(batch), took, peak(device), tflops, error)
            yield Row("baked", precision, *sizes)
        del run, found  # before the next one's memory is measured


def theirs(arguments: argparse.Namespace, shape: aura.Shape, device: torch.device) -> Iterator[Row]:
    if (run := stock(shape, device)) is None:
        return
    batch = torch.rand(STOCK_BATCH, 3, SIDE, SIDE, device=device)
    precision = "TF32" if device.type == "cuda" else "fp32"
    clear(device)
    for side in arguments.sides:
        tiles = two_passes(side)
        took = milliseconds(run, batch, tiles, arguments.runs)
        yield Row("aura_sr", precision, side, tiles, STOCK_BATCH, took, peak(device), 0, 0)


def clear(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def measured(arguments: argparse.Namespace) -> Iterator[Row]:
    """All rows; a further network is one more loop here."""
    device = torch.device(arguments.device)
    shape = replace(aura.Shape(), dim=8) if arguments.small else aura.Shape()
    with torch.inference_mode():
        for count in arguments.batches:
            batch = torch.rand(count, 3, SIDE, SIDE, device=device)
            yield from baked(arguments, shape, batch)
        yield from theirs(arguments, shape, device)


def write(folder: Path, rows: list[Row], device: str) -> None:
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    about = {"device": name, "torch": torch.__version__, "weights": "generated"}
    folder.mkdir(parents=True, exist_ok=True)
    everything = {"machine": about, "rows": [asdict(row) for row in rows]}
    (folder / "gpu.json").write_text(json.dumps(everything, indent=2) + "\n")
    table = [
        "# AuraSR's network on a GPU\n",
        ", ".join(f"{key} {value}" for key, value in about.items()) + ".\n",
        "| network | precision | picture | tiles | batch | ms | peak, GB | TFLOP/s | error |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {r.network} | {r.precision} | {r.side}² | {r.tiles} | {r.batch} "
            f"| {r.milliseconds:.1f} | {r.peak_gb:.2f} | {r.tflops:.1f} | {r.error:.1e} |"
            for r in rows
        ),
    ]
    (folder / "gpu.md").write_text("\n".join(table) + "\n")
    print("\n".join(table))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--small", action="store_true", help="a small network, to try the script")
    parser.add_argument("--compile", action="store_true", help="torch.compile, too: takes minutes")
    parser.add_argument("--out", type=Path, default=PROJECT / "benchmarks" / "results")
    arguments = parser.parse_args()
    arguments.sides = (96,) if arguments.small else (256, 1024)
    arguments.runs = 1 if arguments.small else 5
    arguments.batches = (2,) if arguments.small else BATCHES
    return arguments


def main() -> None:
    arguments, rows = parsed(), []
    for row in measured(arguments):
        print(row, flush=True)
        rows.append(row)
    write(arguments.out, rows, arguments.device)


if __name__ == "__main__":
    sys.exit(main())
