"""Networks in torch, channels last: as it is, as one CUDA graph, and through torch.compile."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Protocol

import torch
from gpu_layers import Exact, Levels
from gpu_networks import Network
from gpu_plan import COMPILED, EAGER, GRAPH, STRIPS, Case
from torch import Tensor, nn

TYPES = {"fp16": torch.float16, "fp32": torch.float32}
ENGINES = (EAGER, GRAPH, STRIPS, COMPILED)
STRIPS_OF_THE_EXPORT = 8
GIGABYTE = 2**30

Net = Callable[[Tensor], Tensor]


class Run(Protocol):
    """A network that is ready, with its batch."""

    def __call__(self) -> None: ...

    def result(self) -> Tensor:
        """Of the last call, in levels: see `gpu_networks.Levels`."""

    def peak_gb(self) -> float:
        """Most memory on the device since the network was ready, weights included; 0 on a CPU."""


class TorchRun:
    """What torch runs; its memory is what torch's allocator gave out at most."""

    def __init__(self, net: Net, batch: Tensor) -> None:
        self.net, self.batch = net, batch
        self.last: Tensor | None = None

    def __call__(self) -> None:
        self.last = None  # or two results would count as memory
        self.last = self.net(self.batch)

    def result(self) -> Tensor:
        assert self.last is not None
        return self.last

    def peak_gb(self) -> float:
        on_gpu = self.batch.device.type == "cuda"
        return torch.cuda.max_memory_allocated() / GIGABYTE if on_gpu else 0.0


def prepared(case: Case, network: Network, weights: nn.Module, batch: Tensor) -> TorchRun:
    """The network of a case, after its first run.

    Args:
        weights: the network in float32, on the CPU; it stays as it is.
        batch: uint8 (B, H, W, 3), on the device.
    """
    levels = in_precision(weights, network, TYPES[case.precision]).to(batch.device)
    if case.engine == STRIPS:
        levels.net.strips = STRIPS_OF_THE_EXPORT  # type: ignore[assignment]
    ready: Net = levels.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if case.engine == COMPILED:
        torch.compiler.reset()  # or the next size would share this one's kernels
        ready = torch.compile(ready, dynamic=False)
    settle(ready, batch)
    return TorchRun(graphed(ready, batch) if case.engine == GRAPH else ready, batch)


def in_precision(weights: nn.Module, network: Network, dtype: torch.dtype) -> Levels:
    """A copy of the network in a type, but for its first layer."""
    net = deepcopy(weights).to(dtype)
    if dtype is not torch.float32:
        net.set_submodule(
            network.first, Exact(deepcopy(weights.get_submodule(network.first)), dtype)
        )
    return Levels(net, network.mask)


def settle(net: Net, batch: Tensor) -> None:
    """Runs it once, and forgets what memory cuDNN took to try its algorithms."""
    net(batch)
    clear(batch.device)


def clear(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


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


@contextmanager
def choosing() -> Iterator[None]:
    """cuDNN tries its algorithms, and float32 means float32: in products it does by default."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.allow_tf32
    cudnn.benchmark, cudnn.allow_tf32 = True, False
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.allow_tf32 = before
