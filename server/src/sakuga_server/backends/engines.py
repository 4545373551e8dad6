"""What runs a network's file inside the stand-in for Triton's `onnxruntime` backend: onnxruntime
itself, or on CPUs OpenVINO, which is the faster of the two."""

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime

from sakuga import wire
from sakuga_server.pipelines.picture import Array

# Of networks that OpenVINO wants otherwise, beside the file that onnxruntime takes: the network, or
# all of it but the last layers, and those.
OWN_FILE, TAIL_FILE = "openvino.onnx", "openvino-tail.onnx"

# The last layers of an RRDBNet see so many rows of features around each row. Strips of so many keep
# memory low: on a whole 512x512 picture in bfloat16 the peak is 1.1 GB, not 1.6.
TAIL_HALO, TAIL_ROWS = 2, 128

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

    Args:
        file: an ONNX file; `openvino.onnx` beside it goes first, and gives features to
            `openvino-tail.onnx`, where there is one.
        threads: 0 means one a core.
        bf16: whether outputs of 8 bits may be computed in bfloat16, where the CPU has it.
    """

    def __init__(self, file: Path, threads: int, bf16: bool) -> None:
        own, tail = file.with_name(OWN_FILE), file.with_name(TAIL_FILE)
        self.network = Compiled(own if own.exists() else file, threads, bf16)
        self.tail = Compiled(tail, threads, bf16) if tail.exists() else None

    def __call__(self, names: Iterable[str], feed: Mapping[str, Array]) -> dict[str, Array]:
        if self.tail is None:
            return {name: self.network(name, feed) for name in names}
        return {name: self._by_parts(name, self.tail, feed) for name in names}

    def _by_parts(self, name: str, tail: "Compiled", feed: Mapping[str, Array]) -> Array:
        """An output of a network in two parts: the second goes over the features strip by strip."""
        eight_bits = tail.eight_bits(name)
        features = self.network(wire.NET_FEATURES, feed, eight_bits)
        strips = list(tail_strips(features.shape[2], _inner(feed[wire.NET_INNER])))
        whole, at = None, 0
        for rows, inner in strips:
            part = tail(name, _strip(features, rows, inner), eight_bits)
            if whole is None:
                kept = sum(_kept(*strip) for strip in strips)
                height = kept * part.shape[1] // _kept(rows, inner)
                whole = np.empty((len(part), height, *part.shape[2:]), part.dtype)
            whole[:, at : at + part.shape[1]] = part
            at += part.shape[1]
        assert whole is not None
        return whole


def _strip(features: Array, rows: slice, inner: wire.Inner) -> dict[str, Array]:
    sides = np.zeros((len(features), *wire.inner_shape(inner)), np.uint8)
    return {
        wire.NET_FEATURES: np.ascontiguousarray(features[:, :, rows]),
        wire.NET_INNER: sides,
    }


def _kept(rows: slice, inner: wire.Inner) -> int:
    """Rows of features that a strip gives results of."""
    return int(rows.stop - rows.start - TAIL_HALO * (inner[0] + inner[1]))


def _inner(tensor: Array) -> wire.Inner:
    top, bottom, left, right = (length > 1 for length in tensor.shape[1:])
    return top, bottom, left, right


def tail_strips(rows: int, inner: wire.Inner) -> Iterator[tuple[slice, wire.Inner]]:
    """Windows of `rows` rows of features, and which of a window's sides are inner.

    The last layers see TAIL_HALO rows, which the results of inner sides lack; together the results
    are those of the whole.
    """
    top, bottom, left, right = inner
    first, last = TAIL_HALO * top, rows - TAIL_HALO * bottom
    for start in range(first, last, TAIL_ROWS):
        stop = min(start + TAIL_ROWS, last)
        sides = (top or start > first, bottom or stop < last, left, right)
        yield slice(start - TAIL_HALO * sides[0], stop + TAIL_HALO * sides[1]), sides


class Compiled:
    """A file, compiled for each output by itself, when it is first asked for: of an image in 8 and
    in 16 bits one alone is ever wanted, and they differ in precision."""

    def __init__(self, file: Path, threads: int, bf16: bool) -> None:
        import openvino

        self.core = openvino.Core()
        self.model = self.core.read_model(file)
        has_bf16 = "BF16" in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.quick = "bf16" if bf16 and has_bf16 else "f32"
        self.settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        self.requests: dict[tuple[str, int, bool], Any] = {}

    def __call__(self, name: str, feed: Mapping[str, Array], quickly: bool | None = None) -> Array:
        """An output; it holds until the next call.

        Args:
            quickly: whether bfloat16 may be used; left out, where the output has 8 bits.
        """
        if quickly is None:
            quickly = self.eight_bits(name)
        for tensor in self.model.inputs:  # OpenVINO would make one up
            if tensor.get_any_name() not in feed:
                raise ValueError(f"the input {tensor.get_any_name()} is missing")
        image = feed.get(wire.NET_IMAGE)
        key = name, 0 if image is None else image.shape[-1], quickly
        if key not in self.requests:
            self.requests[key] = self._compiled(*key).create_infer_request()
        result: Array = self.requests[key].infer(feed, True, True)[0]
        return result

    def eight_bits(self, name: str) -> bool:
        import openvino

        return bool(_output(self.model, name).get_element_type() == openvino.Type.u8)

    def _compiled(self, name: str, channels: int, quickly: bool) -> Any:
        import openvino

        whole = self.model.clone()
        model = openvino.Model([_output(whole, name)], whole.get_parameters())
        model.reshape({each: _shape(each, channels) for each in model.inputs})
        precision = {"INFERENCE_PRECISION_HINT": self.quick if quickly else "f32"}
        return self.core.compile_model(model, "CPU", self.settings | precision)


def _output(model: Any, name: str) -> Any:
    return next(each for each in model.outputs if name in each.get_names())


def _shape(tensor: Any, channels: int) -> list[Any]:
    """The shape of an input, but that of an image the channels are told: free ones would keep
    OpenVINO's best convolutions away."""
    shape = list(tensor.get_partial_shape())
    return [*shape[:-1], channels] if wire.NET_IMAGE in tensor.get_names() else shape
