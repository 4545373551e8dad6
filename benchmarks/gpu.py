"""Super-resolution networks on a GPU; needs torch and numpy only, and downloads nothing.

`python benchmarks/gpu.py [--device cpu] [--small] [--compile] [--no-server] [--weights FOLDER]
[--out FOLDER]`, in the project's checkout. It measures AuraSR's network, our export against the
package; the super-resolution networks; and pictures through the embedded server, where that can
run. Times of networks are for all tiles of a picture, in full batches, with the picture on the
device; blending, codecs and Triton are excluded. AuraSR's weights are generated: they make no
difference to speed.
"""

import argparse
import asyncio
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PROJECT = Path(__file__).parents[1]
if not find_spec("sakuga_export"):
    rooms = ("core", "client", "server", "export")
    sys.path[:0] = [str(PROJECT / room / "src") for room in rooms]

from sakuga_export.architectures import aura  # noqa: E402
from sakuga_export.architectures.rrdb import RRDBNet  # noqa: E402
from sakuga_export.architectures.srvgg import SRVGGNetCompact  # noqa: E402
from sakuga_export.families import ncnn  # noqa: E402

SIDE, MIX = 64, 16  # of tiles, and over which neighbours mix; see the server's blending
KILOMACS = 29050  # a pixel, at the published size
STOCK_BATCH = 8  # the package's default
BATCHES = (1, 8, 16, 32, 64)

Net = Callable[[Tensor], Tensor]
State = Mapping[str, Tensor]
Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Row:
    """One picture through one variant of AuraSR's network."""

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
    """Largest difference to float32, as a fraction of the range of its results."""


@dataclass(frozen=True)
class Upscaler:
    """Facts of a super-resolution network: those of `sakuga_core.networks.registry`, which needs
    packages that a machine with a GPU may lack. A test compares them."""

    name: str
    net: Callable[[], nn.Module]
    kilomacs: int
    receptive_field: int
    files: tuple[str, str]
    """Of weights: the published one, and the one in ncnn's form."""
    target: int
    """Goal for the network on an H200, in pictures of 1024² a second."""


UPSCALERS = (
    Upscaler(
        "realesrgan-x4plus-anime",
        partial(RRDBNet, blocks=6),
        5706,
        94,
        ("RealESRGAN_x4plus_anime_6B.pth", "realesrgan-x4plus-anime.bin"),
        33,
    ),
    Upscaler(
        "realesr-animevideov3",
        partial(SRVGGNetCompact, convs=16),
        619,
        18,
        ("realesr-animevideov3.pth", "realesr-animevideov3-x4.bin"),
        200,
    ),
)


@dataclass(frozen=True)
class Case:
    """Square pictures, whole or each in four tiles, and the batch size."""

    side: int
    tiles: int
    batch: int

    def window(self, padding: int) -> int:
        """Side of the network's input; for tiles, with the padding that the server adds."""
        if self.tiles == 1:
            return self.side
        return min(self.side, -(-(self.side // 2 + padding) // 16) * 16)


# A whole 1024² goes alone: two make tensors of 2^31 numbers, which not all of torch's layers take.
CASES = (
    *(Case(256, 1, 1), Case(256, 1, 16), Case(512, 1, 1), Case(512, 1, 4)),
    *(Case(1024, 1, 1), Case(1024, 4, 1), Case(1024, 4, 4)),
)
SMALL_CASES = (Case(8, 1, 1), Case(8, 4, 2))


@dataclass(frozen=True)
class Upscaled:
    """Pictures through a super-resolution network: uint8 in, uint8 out."""

    network: str
    weights: str
    precision: str
    side: int
    tiles: int
    batch: int
    window: int
    """Side of the network's input."""
    failed: str = ""
    """Why there are no figures."""
    milliseconds: float = 0
    """A picture, median."""
    pictures: float = 0
    """A second."""
    tflops: float = 0
    """Of the work that was done, padding included."""
    share: float = 0
    """Of the throughput of fp16 matrix products on the same device."""
    peak_gb: float = 0
    levels: int | None = None
    """Largest difference to float32…"""
    decibels: float | None = None
    """…and the PSNR; None where there is no difference, or nothing to compare with."""


@dataclass(frozen=True)
class Served:
    """Pictures through the embedded server: from a PNG's bytes to a PNG's."""

    network: str
    side: int
    at_once: int
    pictures: float
    """A second, median."""


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
        print(f"without aura_sr: {error}")
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


def tflops(pixels: float, kilomacs: int, milliseconds: float) -> float:
    """Two operations a multiply-accumulate, in 10^12 a second."""
    return pixels * kilomacs * 2e3 / milliseconds / 1e9


def peak(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0


def variants(
    arguments: argparse.Namespace, shape: aura.Shape, batch: Tensor
) -> Iterator[tuple[str, Net]]:
    """Precisions, one at a time, so that no other's weights count as its memory."""
    on_gpu = batch.device.type == "cuda"
    name, short = ("fp16", torch.float16) if on_gpu else ("bf16", torch.bfloat16)

    def net(dtype: torch.dtype) -> Net:
        return of_type(generated(shape, batch.device), dtype)

    torch.backends.cudnn.allow_tf32 = False
    yield "fp32", net(torch.float32)
    torch.backends.cudnn.allow_tf32 = True  # torch's default, and so the package's
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
        print(f"without {how}: {error}")
        return None
    return run


def baked(arguments: argparse.Namespace, shape: aura.Shape, batch: Tensor) -> Iterator[Row]:
    device, exact = batch.device, None
    kilomacs = KILOMACS if shape == aura.Shape() else 0
    for precision, run in variants(arguments, shape, batch):
        found = run(batch).float()
        exact = found.clone() if exact is None else exact
        error = float((found - exact).abs().max() / (exact.max() - exact.min()))
        for side in arguments.sides:
            tiles = windows(side)
            took = milliseconds(run, batch, tiles, arguments.runs)
            pixels = -(-tiles // len(batch)) * len(batch) * SIDE**2
            speed = tflops(pixels, kilomacs, took)
            sizes = (side, tiles, len(batch), took, peak(device), speed, error)
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
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def measured(arguments: argparse.Namespace) -> Iterator[Row]:
    """All rows of AuraSR."""
    device = torch.device(arguments.device)
    shape = replace(aura.Shape(), dim=8) if arguments.small else aura.Shape()
    with torch.inference_mode():
        for count in arguments.batches:
            batch = torch.rand(count, 3, SIDE, SIDE, device=device)
            yield from baked(arguments, shape, batch)
        yield from theirs(arguments, shape, device)


def matrix_peak(device: torch.device, side: int) -> float:
    """TFLOP/s of products of two random fp16 matrices."""
    left, right = (torch.randn(side, side, device=device).half() for _ in range(2))
    took = milliseconds(left.matmul, right, 10 * side, 5)
    return 10 * 2 * side**3 / took / 1e9


def drawn(count: int, side: int) -> Tensor:
    """Flat fields with hard borders, and a little noise: uint8 (B, side, side, 3)."""
    torch.manual_seed(0)
    soft = F.interpolate(torch.rand(count, 3, 8, 8), size=side, mode="bicubic")
    fields = (soft * 6).round() / 6 + 0.02 * torch.randn_like(soft)
    return (fields.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous()


def state_of(network: Upscaler, folder: Path) -> tuple[State, str]:
    """The weights in `folder`, else generated ones; and which of both."""
    published, packaged = (folder / file for file in network.files)
    if published.exists():
        checkpoint = torch.load(published, map_location="cpu", weights_only=True)
        return checkpoint.get("params_ema") or checkpoint["params"], "published"
    if packaged.exists():
        return ncnn.read_state(packaged, network.net()), "published, fp16"
    torch.manual_seed(0)
    return spanning(network.net()), "generated"


def spanning(net: nn.Module) -> State:
    """Its weights, of RRDBNet with a last layer whose results span nearly 0 to 1."""
    if hasattr(net, "conv_last"):
        result = net(drawn(1, 24).permute(0, 3, 1, 2) / 255)
        centre = result.mean(dim=(0, 2, 3))
        last, spread = net.conv_last, 0.2 / (result - centre[:, None, None]).std()
        last.weight *= spread
        last.bias.copy_(0.5 + (last.bias - centre) * spread)
    return net.state_dict()


def in_levels(net: nn.Module, dtype: torch.dtype) -> Net:
    """uint8 (B, H, W, 3) to uint8 (B, 4H, 4W, 3), as `families.graph.Served` does it."""
    net = net.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(image: Tensor) -> Tensor:
        samples = (image.to(dtype) / 255).permute(0, 3, 1, 2)
        result: Tensor = net(samples).clamp(0, 1).permute(0, 2, 3, 1)
        return (result * 255).round().to(torch.uint8)

    return run


def tried_once(run: Net, batch: Tensor) -> Net:
    """Once cuDNN has tried its algorithms, and what that took of memory is forgotten."""
    run(batch)
    clear(batch.device)
    return run


def ways(
    network: Upscaler, state: State, batch: Tensor, compiled: bool
) -> Iterator[tuple[str, Callable[[], Net]]]:
    """Precisions, and how to make the network of each."""

    def net(dtype: torch.dtype, strips: int = 1) -> Net:
        built = network.net().eval()
        built.load_state_dict(state)
        if hasattr(built, "strips"):
            built.strips = strips
        return tried_once(in_levels(built.to(batch.device), dtype), batch)

    half = torch.float16
    yield "fp32", lambda: net(torch.float32)
    yield "fp16", lambda: net(half)
    if hasattr(network.net(), "strips"):
        yield "fp16, 8 strips", lambda: net(half, strips=8)
    if batch.device.type == "cuda":
        yield "fp16, CUDA graph", lambda: graphed(net(half), batch)
    if compiled:
        yield "fp16, compiled", lambda: tried_once(compiled_of(net(half)), batch)


def compiled_of(run: Net) -> Net:
    torch.compiler.reset()  # or the next size would share this one's kernels
    return torch.compile(run, dynamic=False)


def tried(
    blank: Upscaled, kilomacs: int, make: Callable[[], Net], batch: Tensor, runs: int
) -> tuple[Upscaled, Tensor | None]:
    """`blank` with its figures and the result, or with the reason why there are none."""
    clear(batch.device)
    try:
        run = make()
        result = run(batch).cpu()
        took = milliseconds(run, batch, blank.tiles, runs)
    except RuntimeError as error:
        return replace(blank, failed=reason(error)), None
    seen = -(-blank.tiles // blank.batch) * blank.batch
    each = took * blank.tiles / seen
    speed = tflops(seen * blank.window**2, kilomacs, took)
    figures = {"milliseconds": each, "pictures": 1000 / each, "tflops": speed}
    return replace(blank, **figures, peak_gb=peak(batch.device)), result


def reason(error: RuntimeError) -> str:
    text = str(error).partition("\n")[0]
    return "out of memory" if "out of memory" in text else f"failed: {text}"


def difference(found: Tensor, exact: Tensor) -> tuple[int, float | None]:
    """Most levels between two results, and their PSNR; None: they are the same."""
    apart = (found.short() - exact.short()).abs()
    error = apart.float().square().mean(dtype=torch.float64)
    return int(apart.max()), float(10 * torch.log10(255**2 / error)) if error else None


def upscaled(arguments: argparse.Namespace, most: float) -> Iterator[Upscaled]:
    """All rows of the super-resolution networks; `most` is the peak in TFLOP/s."""
    for network, case in product(UPSCALERS, arguments.cases):
        state, weights = state_of(network, arguments.weights)
        window = case.window(network.receptive_field)
        batch, exact = drawn(case.batch, window).to(arguments.device), None
        for precision, make in ways(network, state, batch, arguments.compile):
            sizes = (case.side, case.tiles, case.batch, window)
            blank = Upscaled(network.name, weights, precision, *sizes)
            row, result = tried(blank, network.kilomacs, make, batch, 2 * arguments.runs)
            exact = result if precision == "fp32" else exact
            if result is not None and exact is not None:
                levels, decibels = difference(result, exact)
                row = replace(row, levels=levels, decibels=decibels)
            yield replace(row, share=row.tflops / most)


@contextmanager
def choosing() -> Iterator[None]:
    """cuDNN tries its algorithms, and float32 means float32."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.allow_tf32
    cudnn.benchmark, cudnn.allow_tf32 = True, False
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.allow_tf32 = before


def served(arguments: argparse.Namespace) -> list[Served]:
    """Pictures end to end; where the server can't run, one line says why."""
    if arguments.no_server:
        return []
    try:
        return through_triton(arguments)
    except Exception as error:  # whatever it is, the networks' figures are good
        print(f"without the server: {type(error).__name__}: {error}")
        return []


def through_triton(arguments: argparse.Namespace) -> list[Served]:
    import onnxruntime

    from sakuga import load_config
    from sakuga_server.runtime.embedded import free_port, run_triton

    providers = onnxruntime.get_available_providers()
    if arguments.device == "cuda" and "CUDAExecutionProvider" not in providers:
        raise ImportError("onnxruntime has no CUDA here; onnxruntime-gpu has")
    config = load_config(PROJECT / "config.yaml")
    config.server.repository = PROJECT / "model_repository"
    with run_triton(config, free_port()) as server:
        return asyncio.run(rates(config, server.url, arguments))


async def rates(config: object, url: str, arguments: argparse.Namespace) -> list[Served]:
    from sakuga import connect

    rows, sides = [], sorted({case.side for case in arguments.cases})
    async with connect(config, url=url) as images:
        for network, side, at_once in product(UPSCALERS, sides, arguments.at_once):
            send = partial(images.process, png(side), "upscale", {"model": network.name})
            times = [await seconds(send, at_once) for _ in range(arguments.runs + 1)]
            median = statistics.median(times[1:])
            rows.append(Served(network.name, side, at_once, at_once / median))
            print(rows[-1], flush=True)
    return rows


async def seconds(send: Callable[[], object], at_once: int) -> float:
    start = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(at_once)))
    return time.perf_counter() - start


def png(side: int) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", drawn(1, side)[0].numpy())[1])


def targets(rows: Iterable[Upscaled], device: str) -> list[str]:
    """Whether they are reached; they are set for an H200 alone."""
    if "H200" not in device:
        return []
    rows, lines = list(rows), [""]
    for network in UPSCALERS:
        speeds = [r.pictures for r in rows if (r.network, r.side) == (network.name, 1024)]
        best = max(speeds, default=0)
        verdict = "reached" if best >= network.target else "not reached"
        goal = f"goal {network.target}: {verdict}"
        lines.append(f"- {network.name}, 1024²: {best:.1f} pictures a second, {goal}.")
    return lines


def aura_table(rows: Iterable[Row]) -> Iterator[str]:
    yield "| network | precision | picture | tiles | batch | ms | peak, GB | TFLOP/s | error |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for r in rows:
        yield (
            f"| {r.network} | {r.precision} | {r.side}² | {r.tiles} | {r.batch} "
            f"| {r.milliseconds:.1f} | {r.peak_gb:.2f} | {r.tflops:.1f} | {r.error:.1e} |"
        )


def upscaled_table(rows: Iterable[Upscaled]) -> Iterator[str]:
    yield (
        "| network | precision | picture | tiles | batch | ms a picture | pictures/s | TFLOP/s "
        "| of the peak | peak, GB | levels off | PSNR, dB |"
    )
    yield "|---" * 12 + "|"
    for r in rows:
        tiles = f"{r.tiles} of {r.window}²" if r.tiles > 1 else "whole"
        start = f"| {r.network} | {r.precision} | {r.side}² | {tiles} | {r.batch} |"
        yield f"{start} {r.failed} |||||||" if r.failed else f"{start} {figures(r)} |"


def figures(row: Upscaled) -> str:
    same = "the same" if row.levels == 0 else ""
    error = same if row.decibels is None else f"{row.decibels:.1f}"
    levels = "" if row.levels is None else row.levels
    speed = f"{row.milliseconds:.2f} | {row.pictures:.1f} | {row.tflops:.1f} | {row.share:.0%}"
    return f"{speed} | {row.peak_gb:.2f} | {levels} | {error}"


def served_table(rows: Iterable[Served]) -> Iterator[str]:
    yield "| network | picture | at once | pictures/s |"
    yield "|---|---|---|---|"
    for r in rows:
        yield f"| {r.network} | {r.side}² | {r.at_once} | {r.pictures:.2f} |"


@dataclass(frozen=True)
class Found:
    """All that was measured."""

    matrix_peak: float
    upscaled: list[Upscaled]
    aura: list[Row] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)


def machine(found: Found, device: str) -> dict[str, str]:
    weights = {row.network: row.weights for row in found.upscaled}
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU",
        "torch": torch.__version__,
        "fp16 matrices": f"{found.matrix_peak:.4g} TFLOP/s",
        "weights": "; ".join(f"{net}: {origin}" for net, origin in weights.items()),
    }


def report(found: Found, about: Mapping[str, str]) -> list[str]:
    lines = ["# Networks on a GPU\n", ", ".join(f"{k} {v}" for k, v in about.items()) + ".\n"]
    lines += ["## Super-resolution\n", *upscaled_table(found.upscaled)]
    lines += targets(found.upscaled, about["device"])
    if found.served:
        lines += ["\n## End to end, PNG to PNG\n", *served_table(found.served)]
    if found.aura:
        lines += ["\n## AuraSR's network, on generated weights\n", *aura_table(found.aura)]
    return lines


def write(folder: Path, found: Found, device: str) -> None:
    about = machine(found, device)
    folder.mkdir(parents=True, exist_ok=True)
    rows = {
        "rows": [asdict(row) for row in found.aura],
        "upscaled": [asdict(row) for row in found.upscaled],
        "served": [asdict(row) for row in found.served],
    }
    everything = {"machine": about, "matrix_tflops": found.matrix_peak, **rows}
    (folder / "gpu.json").write_text(json.dumps(everything, indent=2) + "\n")
    (folder / "gpu.md").write_text("\n".join(report(found, about)) + "\n")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--small", action="store_true", help="small sizes, to try the script")
    parser.add_argument("--compile", action="store_true", help="torch.compile, too: takes minutes")
    parser.add_argument("--no-server", action="store_true", help="networks alone")
    parser.add_argument("--weights", type=Path, default=Path.home() / ".cache/sakuga/weights")
    parser.add_argument("--out", type=Path, default=PROJECT / "benchmarks" / "results")
    arguments = parser.parse_args()
    arguments.sides = (96,) if arguments.small else (256, 1024)
    arguments.runs = 1 if arguments.small else 5
    arguments.batches = (2,) if arguments.small else BATCHES
    arguments.cases = SMALL_CASES if arguments.small else CASES
    arguments.at_once = (1, 2) if arguments.small else (1, 8)
    return arguments


def printed(rows: Iterator[Measured]) -> list[Measured]:
    """All rows; each is printed as soon as it is measured."""
    kept = []
    for row in rows:
        print(row, flush=True)
        kept.append(row)
    return kept


def stages(arguments: argparse.Namespace) -> Iterator[Found]:
    """What is measured after each stage."""
    device = torch.device(arguments.device)
    most = matrix_peak(device, 128 if arguments.small else 8192)
    with torch.inference_mode(), choosing():
        found = Found(most, upscaled=printed(upscaled(arguments, most)))
    yield found
    found = replace(found, aura=printed(measured(arguments)))
    yield found
    clear(device)
    yield replace(found, served=served(arguments))


def main() -> None:
    arguments = parsed()
    for found in stages(arguments):
        write(arguments.out, found, arguments.device)
    print((arguments.out / "gpu.md").read_text())


if __name__ == "__main__":
    sys.exit(main())
