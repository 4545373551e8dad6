"""What runs a network's file inside the stand-in for Triton's `onnxruntime` backend: onnxruntime
itself, or on CPUs OpenVINO, which is the faster of the two."""

import importlib.util
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sakuga_server.imaging.picture import Array

Providers = list[str | tuple[str, dict[str, str]]]

# What Triton calls accelerators, and what onnxruntime calls them.
PROVIDERS = {
    "openvino": "OpenVINOExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


class Engine(Protocol):
    """A network, loaded.

    Takes the outputs' names, and the inputs by name. Gives the outputs by name; they hold until the
    next call.
    """

    def __call__(self, names: Iterable[str], feed: Mapping[str, Array]) -> dict[str, Array]: ...

    def cancel(self) -> None:
        """Has a call that is under way in another thread fail soon, after one more layer."""
        ...


@dataclass(frozen=True)
class EngineOptions:
    """How a network is to run."""

    accelerators: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By the names that Triton has for them, with their parameters."""
    any_engine: bool = True
    """Whether, without any of these, the fastest engine may be chosen."""
    bf16: bool = False
    """Whether the CPU may compute results of 8 bits in bfloat16."""
    threads: int = 0
    """On the CPU; 0 means one for each core that the process may use."""
    gpu: str | None = None
    """Its number; None: the CPU."""
    gpu_memory: int | None = None
    """Bytes that it may allocate there; None: any."""
    cache: Path | None = None
    """Folder of compiled networks."""
    output: str | None = None
    """To prepare for while the first request is on its way."""

    @property
    def takes_openvino(self) -> bool:
        """Whether OpenVINO runs the network, where it is installed."""
        wanted = "openvino" in self.accelerators or (self.any_engine and not self.accelerators)
        return self.gpu is None and wanted


def engine(file: Path, options: EngineOptions, warn: Callable[[str], None]) -> Engine:
    """The engine for a network on this machine; for what isn't installed there is a warning."""
    threads = options.threads or _share_of_cores()
    if options.takes_openvino and has_openvino():
        from sakuga_server.backends.openvino_engine import OpenVINO

        network = OpenVINO(file, threads, options.bf16, options.cache)
        if options.output:
            network.prepare(options.output)
        return network
    return OnnxRuntime(file, threads, providers(options, warn))


def _share_of_cores() -> int:
    """How many cores this process may use, where others may not be used; else 0. Engines count all
    that the machine has, and more threads than cores wait for each other."""
    cores = len(os.sched_getaffinity(0))
    return cores if cores < (os.cpu_count() or cores) else 0


def has_openvino() -> bool:
    return importlib.util.find_spec("openvino") is not None


def providers(options: EngineOptions, warn: Callable[[str], None]) -> Providers:
    """onnxruntime's execution providers, in order of preference; after TensorRT comes CUDA, and the
    CPU is last."""
    import onnxruntime  # here: OpenVINO does without its 30 MB

    wanted = {name: dict(parameters) for name, parameters in options.accelerators.items()}
    if options.gpu is not None:
        wanted["cuda"] = _cuda(options) | wanted.pop("cuda", {})
    found: Providers = []
    for name, parameters in wanted.items():
        provider = PROVIDERS.get(name, "")
        device = {} if options.gpu is None else {"device_id": options.gpu}
        if provider in onnxruntime.get_available_providers():
            found.append((provider, device | parameters))
        else:
            warn(f"{name} isn't installed here; onnxruntime runs it")
    return [*found, "CPUExecutionProvider"]


def _cuda(options: EngineOptions) -> dict[str, str]:
    """What config.pbtxt has for the native backend, by the names of onnxruntime itself."""
    limit = {} if options.gpu_memory is None else {"gpu_mem_limit": str(options.gpu_memory)}
    settings = {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}
    return settings | limit


class OnnxRuntime:
    """onnxruntime, on what its execution providers run on.

    Args:
        file: an ONNX file.
        threads: on the CPU; 0 means one a core.
        providers: in order of preference.
    """

    def __init__(self, file: Path, threads: int, providers: Providers) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(file, options, providers)
        self.run_options = onnxruntime.RunOptions
        self.current = self.run_options()

    def __call__(self, names: Iterable[str], feed: Mapping[str, Array]) -> dict[str, Array]:
        names, self.current = list(names), self.run_options()
        return dict(zip(names, self.session.run(names, feed, self.current), strict=True))

    def cancel(self) -> None:
        self.current.terminate = True
