"""What runs a network's file inside the stand-in for Triton's `onnxruntime` backend: onnxruntime
itself, or on CPUs OpenVINO, which is the faster of the two."""

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import onnxruntime

from sakuga_server.pipelines.picture import Array

# Of networks that OpenVINO wants otherwise, beside the file that onnxruntime takes.
OWN_FILE = "openvino.onnx"

Providers = list[str | tuple[str, dict[str, str]]]

# What Triton calls accelerators, and what onnxruntime calls them.
PROVIDERS = {"openvino": "OpenVINOExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}


class Engine(Protocol):
    """A network, loaded.

    Takes the outputs' names, and the inputs by name. Gives the outputs by name; they hold until the
    next call.
    """

    def __call__(self, names: Iterable[str], feed: Mapping[str, Array]) -> dict[str, Array]: ...


@dataclass(frozen=True)
class Wishes:
    """How a network is to run."""

    accelerators: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By the names that Triton has for them, with their parameters."""
    free: bool = True
    """Whether, without any of these, the fastest engine may be chosen."""
    bf16: bool = False
    """Whether the CPU may compute results of 8 bits in bfloat16."""
    threads: int = 0
    """On the CPU; 0 means one a core."""
    gpu: str | None = None
    """Its number; None: the CPU."""


def engine(file: Path, wishes: Wishes, warn: Callable[[str], None]) -> Engine:
    """The engine for a network on this machine; what isn't installed is told, and done without."""
    openvino = "openvino" in wishes.accelerators or (wishes.free and not wishes.accelerators)
    if wishes.gpu is None and openvino and has_openvino():
        return OpenVINO(file, wishes.threads, wishes.bf16)
    device = {} if wishes.gpu is None else {"device_id": wishes.gpu}
    providers: Providers = [*_providers(wishes.accelerators, device, warn)]
    if wishes.gpu is not None:
        providers.append(("CUDAExecutionProvider", device))
    return OnnxRuntime(file, wishes.threads, [*providers, "CPUExecutionProvider"])


def has_openvino() -> bool:
    return importlib.util.find_spec("openvino") is not None


def _providers(
    accelerators: Mapping[str, Mapping[str, str]],
    device: Mapping[str, str],
    warn: Callable[[str], None],
) -> Iterator[tuple[str, dict[str, str]]]:
    for name, parameters in accelerators.items():
        provider = PROVIDERS.get(name, "")
        if provider in onnxruntime.get_available_providers():
            yield provider, {**device, **parameters}
        else:
            warn(f"{name} isn't installed here; onnxruntime runs it")


class OnnxRuntime:
    """onnxruntime, on what its execution providers run on.

    Args:
        file: an ONNX file.
        threads: on the CPU; 0 means one a core.
        providers: in order of preference.
    """

    def __init__(self, file: Path, threads: int, providers: Providers) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(file, options, providers)

    def __call__(self, names: Iterable[str], feed: Mapping[str, Array]) -> dict[str, Array]:
        names = list(names)
        return dict(zip(names, self.session.run(names, feed), strict=True))


class OpenVINO:
    """OpenVINO on the CPU.

    Each output is compiled by itself, when it is first asked for: of an image in 8 and in 16 bits
    one alone is ever wanted, and they differ in precision.

    Args:
        file: an ONNX file; `openvino.onnx` beside it goes first.
        threads: 0 means one a core.
        bf16: whether outputs of 8 bits may be computed in bfloat16, where the CPU has it.
    """

    def __init__(self, file: Path, threads: int, bf16: bool) -> None:
        import openvino

        self.core = openvino.Core()
        own = file.with_name(OWN_FILE)
        self.model = self.core.read_model(own if own.exists() else file)
        has_bf16 = "BF16" in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.quick = "bf16" if bf16 and has_bf16 else "f32"
        self.settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        self.requests: dict[tuple[str, int], Any] = {}

    def __call__(self, names: Iterable[str], feed: Mapping[str, Array]) -> dict[str, Array]:
        channels = max(array.shape[-1] for array in feed.values() if array.ndim == IMAGE_AXES)
        return {name: self._request(name, channels).infer(feed, True, True)[0] for name in names}

    def _request(self, name: str, channels: int) -> Any:
        key = name, channels
        if key not in self.requests:
            self.requests[key] = self._compiled(name, channels).create_infer_request()
        return self.requests[key]

    def _compiled(self, name: str, channels: int) -> Any:
        import openvino

        whole = self.model.clone()
        (output,) = (each for each in whole.outputs if name in each.get_names())
        model = openvino.Model([output], whole.get_parameters())
        model.reshape({each: _shape(each, channels) for each in model.inputs})
        eight_bits = output.get_element_type() == openvino.Type.u8
        precision = {"INFERENCE_PRECISION_HINT": self.quick if eight_bits else "f32"}
        return self.core.compile_model(model, "CPU", self.settings | precision)


IMAGE_AXES = 4


def _shape(tensor: Any, channels: int) -> list[Any]:
    """The shape of an input, but that of an image the channels are told: free ones would keep
    OpenVINO's best convolutions away."""
    shape = list(tensor.get_partial_shape())
    return [*shape[:-1], channels] if len(shape) == IMAGE_AXES else shape
