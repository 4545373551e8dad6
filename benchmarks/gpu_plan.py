"""What `gpu.py` measures, in which order, and for how long."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from gpu_networks import Network, Shape

EAGER = "torch"
GRAPH = "torch, CUDA graph"
STRIPS = "torch, 8 strips"
COMPILED = "torch.compile"
CUDA = "onnxruntime CUDA"
TENSORRT = "onnxruntime TensorRT"
CPU = "onnxruntime CPU"

TIME_IS_UP = "time was up"

Precision = Literal["fp16", "fp32"]

# Seconds that one measurement may take before it has figures: torch.compile compiles, TensorRT
# builds an engine, and cuDNN tries its algorithms for each size of layer.
FIRST_RUN = {COMPILED: 60.0, TENSORRT: 120.0}
FIRST_RUN_OF_OTHERS = 10.0


@dataclass(frozen=True)
class Case:
    """One measurement: batches of square tiles through a network."""

    network: str
    engine: str
    precision: Precision
    side: int
    batch: int


def plan(networks: Sequence[Network], onnx: str) -> list[Case]:
    """All measurements, the most important first; `onnx` is the engine of exported files."""
    return list(
        dict.fromkeys(
            [
                *_goals(networks, onnx),
                *_all_shapes(networks, (EAGER, GRAPH, onnx), "fp16"),
                *_all_shapes(networks, (EAGER, onnx), "fp32"),
                *_tensorrt(networks),
                *_compiled(networks),
            ]
        )
    )


def _goals(networks: Sequence[Network], onnx: str) -> Iterator[Case]:
    for network in networks:
        for shape in network.goal:
            yield from _cases(network, (EAGER, GRAPH, onnx), "fp16", shape)
            if network.strips:
                yield from _cases(network, (STRIPS,), "fp16", shape)


def _all_shapes(
    networks: Sequence[Network], engines: Sequence[str], precision: Precision
) -> Iterator[Case]:
    for network in networks:
        for shape in network.shapes:
            yield from _cases(network, engines, precision, shape)


def _tensorrt(networks: Sequence[Network]) -> Iterator[Case]:
    """Half precision first: each precision of a network builds an engine, for a minute or more."""
    yield from _all_shapes(networks, (TENSORRT,), "fp16")
    for network in networks:
        yield from _cases(network, (TENSORRT,), "fp32", network.shapes[0])


def _compiled(networks: Sequence[Network]) -> Iterator[Case]:
    """Each network's first shape before any other's second."""
    for shapes in zip_longest(*(network.compiled for network in networks)):
        for network, shape in zip(networks, shapes, strict=True):
            if shape:
                yield from _cases(network, (COMPILED,), "fp16", shape)


def _cases(
    network: Network, engines: Sequence[str], precision: Precision, shape: Shape
) -> Iterator[Case]:
    side, batch = shape
    for engine in engines:
        exported = engine in (CUDA, TENSORRT, CPU) and network.fixed
        yield Case(network.name, engine, precision, exported or side, batch)


class Budget:
    """Time for all measurements; what doesn't fit into the rest of it isn't begun.

    Args:
        seconds: from now.
        first_runs: whether what an engine takes before it has figures has to fit, too.
        clock: in seconds.
    """

    def __init__(
        self, seconds: float, first_runs: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.first_runs, self.clock = first_runs, clock
        self.end = clock() + seconds

    def allows(self, case: Case) -> bool:
        needed = FIRST_RUN.get(case.engine, FIRST_RUN_OF_OTHERS) if self.first_runs else 0.0
        return self.clock() + needed < self.end
