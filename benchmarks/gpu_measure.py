"""A case's figures: time, speed, memory, and how far its results are from float32."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import gpu_onnx
import gpu_torch
import torch
from gpu_networks import Network, drawn, loaded
from gpu_plan import CPU, CUDA, EAGER, GRAPH, Case
from gpu_torch import Run, clear
from torch import Tensor, nn

MOST_RUNS, LEAST_RUNS = 50, 3
ON_A_CPU = 4e11  # multiply-accumulates that a reference may cost on the CPU: seconds on two cores


@dataclass(frozen=True)
class Row:
    """A case, and its figures or why there are none."""

    case: Case
    failed: str = ""
    milliseconds: float = 0
    """A batch, median."""
    tiles: float = 0
    """A second."""
    tflops: float = 0
    """Two operations a multiply-accumulate, in 10^12 a second; 0 where they aren't known."""
    share: float = 0
    """Of the rate of fp16 matrix products on the same device."""
    peak_gb: float = 0
    against: str = ""
    """What ran the float32 that the results are compared with: CPU or GPU."""
    levels: float | None = None
    """Largest difference to it, of 255…"""
    decibels: float | None = None
    """…and the PSNR; None where there is no difference, or nothing to compare with."""


@dataclass
class Bench:
    """What measurements share.

    Args:
        rate: of the device's fp16 matrix products, in TFLOP/s.
        seconds: for how long a measurement is repeated.
    """

    device: torch.device
    networks: Mapping[str, Network]
    weights: Path
    repository: Path
    engines: Path
    rate: float
    seconds: float
    loaded: dict[str, tuple[nn.Module, str]] = field(default_factory=dict)
    references: dict[tuple[object, ...], tuple[Tensor, str]] = field(default_factory=dict)

    def missing(self, case: Case) -> str:
        """Why a case can't be measured here; "" if nothing is known against it."""
        if case.engine in gpu_onnx.PROVIDERS:
            return gpu_onnx.missing(case, self.networks[case.network], self.repository)
        if case.engine == GRAPH and self.device.type == "cpu":
            return "CUDA graphs need a GPU"
        return ""

    def measured(self, case: Case) -> Row:
        """Its figures; whatever fails is a row with the reason."""
        try:
            clear(self.device)
            return self._figures(case)
        except Exception as error:  # torch, its compiler and onnxruntime have no class in common
            return Row(case, failed=reason(error))

    def _figures(self, case: Case) -> Row:
        batch = drawn(case.batch, case.side).to(self.device)
        run = self._prepared(case, batch)
        took = milliseconds(run, self.device, self.seconds)
        network = self.networks[case.network]
        speed = tflops(case.batch * case.side**2, network.kilomacs, took)
        row = Row(
            case,
            milliseconds=took,
            tiles=1000 * case.batch / took,
            tflops=speed,
            share=speed / self.rate,
            peak_gb=run.peak_gb(),
        )
        return self._compared(row, run.result(), batch)

    def _prepared(self, case: Case, batch: Tensor) -> Run:
        if case.engine in gpu_onnx.PROVIDERS:
            file = gpu_onnx.exported(case, self.repository)
            return gpu_onnx.prepared(case, file, batch, self.engines)
        net, _ = self.net(case.network)
        return gpu_torch.prepared(case, self.networks[case.network], net, batch)

    def net(self, name: str) -> tuple[nn.Module, str]:
        """A network in float32 on the CPU, and which weights it has."""
        if name not in self.loaded:
            self.loaded[name] = loaded(self.networks[name], self.weights)
        return self.loaded[name]

    def _compared(self, row: Row, found: Tensor, batch: Tensor) -> Row:
        try:
            exact, against = self._reference(row.case, batch)
        except Exception as error:  # the figures are good without
            return replace(row, against=reason(error))
        levels, decibels = difference(found, exact.to(found.device))
        return replace(row, against=against, levels=levels, decibels=decibels)

    def _reference(self, case: Case, batch: Tensor) -> tuple[Tensor, str]:
        """What float32 gives for a batch, and on what."""
        exported = case.engine in gpu_onnx.PROVIDERS
        key = (case.network, exported, tuple(batch.shape))
        if key not in self.references:
            work = self.networks[case.network].kilomacs * 1000 * batch.shape[:3].numel()
            gpu = self.device.type == "cuda" and work > ON_A_CPU
            engine = (CUDA if gpu else CPU) if exported else EAGER
            exact = replace(case, engine=engine, precision="fp32")
            tiles = batch if gpu else batch.cpu()
            self.references[key] = self._one_by_one(exact, tiles), "GPU" if gpu else "CPU"
        return self.references[key]

    def _one_by_one(self, case: Case, tiles: Tensor) -> Tensor:
        """Results of single tiles, on the CPU, so that a batch's mistakes would show."""
        held = tiles[:1].clone()
        run, results = self._prepared(case, held), []
        for tile in tiles:
            held.copy_(tile[None])
            run()
            results.append(run.result().cpu().clone())
        return torch.cat(results)


def milliseconds(run: Callable[[], None], device: torch.device, seconds: float) -> float:
    """The median of calls, as many as fit into so many seconds; 0: one call."""
    times: list[float] = []
    least = LEAST_RUNS if seconds else 1
    while len(times) < least or (sum(times) < seconds and len(times) < MOST_RUNS):
        wait(device)
        start = time.perf_counter()
        run()
        wait(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def tflops(pixels: int, kilomacs: float, milliseconds: float) -> float:
    """Two operations a multiply-accumulate, in 10^12 a second."""
    return pixels * kilomacs * 2e3 / milliseconds / 1e9


def matrix_rate(device: torch.device, side: int) -> float:
    """TFLOP/s of products of two random fp16 matrices."""
    left, right = (torch.randn(side, side, device=device).half() for _ in range(2))
    left.matmul(right)

    def ten() -> None:
        for _ in range(10):
            left.matmul(right)

    return 10 * 2 * side**3 / milliseconds(ten, device, seconds=0.5) / 1e9


def difference(found: Tensor, exact: Tensor) -> tuple[float, float | None]:
    """Most levels between two results, and their PSNR; None: they are the same. What isn't a
    number is as wrong as can be."""
    apart = (found.float() - exact.float()).abs().nan_to_num(255)
    error = float(apart.square().mean(dtype=torch.float64))
    return float(apart.max()), 10 * math.log10(255**2 / error) if error else None


def reason(error: Exception) -> str:
    """One line, which a table's cell can hold."""
    text = str(error).strip().partition("\n")[0].replace("|", "/") or type(error).__name__
    return "out of memory" if "out of memory" in text else f"failed: {text[:200]}"
