"""What runs a network's file inside the stand-in for Triton's `onnxruntime` backend: onnxruntime
itself, or on CPUs OpenVINO, which is the faster of the two."""

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime

from sakuga_core import protocol
from sakuga_server.imaging.picture import Array

# Rows of features that an RRDBNet's last layers take at once, which keeps memory low: on a whole
# 512x512 picture in bfloat16 the peak is 1.1 GB, not 1.6.
TAIL_ROWS = 128

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
class EngineOptions:
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


def engine(file: Path, options: EngineOptions, warn: Callable[[str], None]) -> Engine:
    """The engine for a network on this machine; what isn't installed is told, and done without."""
    openvino = "openvino" in options.accelerators or (options.free and not options.accelerators)
    if options.gpu is None and openvino and has_openvino():
        return OpenVINO(file, options.threads, options.bf16)
    device = {} if options.gpu is None else {"device_id": options.gpu}
    providers: Providers = [*_providers(options.accelerators, device, warn)]
    if options.gpu is not None:
        providers.append(("CUDAExecutionProvider", device))
    return OnnxRuntime(file, options.threads, [*providers, "CPUExecutionProvider"])


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
        file: an ONNX file; beside it may lie the two parts that `sakuga_export.parts` makes of an
            RRDBNet, which go first.
        threads: 0 means one a core.
        bf16: whether outputs of 8 bits may be computed in bfloat16, where the CPU has it.
    """

    def __init__(self, file: Path, threads: int, bf16: bool) -> None:
        body, tail = file.with_name(protocol.OPENVINO_FILE), file.with_name(protocol.TAIL_FILE)
        in_parts = body.exists() and tail.exists()
        self.network = Compiled(body if in_parts else file, threads, bf16)
        self.tail = Compiled(tail, threads, bf16) if in_parts else None

    def __call__(self, names: Iterable[str], feed: Mapping[str, Array]) -> dict[str, Array]:
        if self.tail is None:
            return {name: self.network(name, feed) for name in names}
        return {name: self._by_parts(name, self.tail, feed) for name in names}

    def _by_parts(self, name: str, tail: "Compiled", feed: Mapping[str, Array]) -> Array:
        """An output of a network in two parts: the second goes over the features strip by strip."""
        quickly = name in tail.eight_bits
        features = self.network(protocol.NET_FEATURES, feed, quickly)
        strips = list(tail_strips(features.shape[2], _inner(feed[protocol.NET_INNER])))
        whole: Array | None = None
        for strip in strips:
            part = tail(name, strip.of(features), quickly)
            scale = part.shape[1] // (strip.stop - strip.start)
            if whole is None:
                shape = (len(part), scale * strips[-1].stop, *part.shape[2:])
                whole = np.empty(shape, part.dtype)
            whole[:, scale * strip.start : scale * strip.stop] = part
        assert whole is not None
        return whole


def _inner(tensor: Array) -> protocol.Inner:
    top, bottom, left, right = (length > 1 for length in tensor.shape[1:])
    return top, bottom, left, right


@dataclass(frozen=True)
class Strip:
    """Some rows of the features."""

    rows: slice
    """What the last layers see…"""
    inner: protocol.Inner
    """…of which sides they see more than they give results of."""
    start: int
    """Where the results begin among all results, in rows of features…"""
    stop: int
    """…and where they end."""

    def of(self, features: Array) -> dict[str, Array]:
        """The last layers' inputs."""
        sides = np.zeros((len(features), *protocol.inner_shape(self.inner)), np.uint8)
        window = np.ascontiguousarray(features[:, :, self.rows])
        return {protocol.NET_FEATURES: window, protocol.NET_INNER: sides}


def tail_strips(rows: int, inner: protocol.Inner) -> Iterator[Strip]:
    """Strips of so many rows of features, whose results together are those of the whole.

    Args:
        inner: of the whole.
    """
    padding = protocol.TAIL_PADDING
    top, bottom, left, right = inner
    first, last = padding * top, rows - padding * bottom
    for start in range(first, last, TAIL_ROWS):
        stop = min(start + TAIL_ROWS, last)
        above, below = top or start > first, bottom or stop < last
        seen = slice(start - padding * above, stop + padding * below)
        yield Strip(seen, (above, below, left, right), start - first, stop - first)


class Compiled:
    """A file, compiled for each output by itself, when it is first asked for: of an image in 8 and
    in 16 bits one alone is ever wanted, and they differ in precision."""

    def __init__(self, file: Path, threads: int, bf16: bool) -> None:
        import openvino

        self.core = openvino.Core()
        self.model = self.core.read_model(file)
        self.inputs = {tensor.get_any_name() for tensor in self.model.inputs}
        eight_bits = (o for o in self.model.outputs if o.get_element_type() == openvino.Type.u8)
        self.eight_bits = {name for output in eight_bits for name in output.get_names()}
        has_bf16 = "BF16" in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.quick = "bf16" if bf16 and has_bf16 else "f32"
        self.settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        self.requests: dict[tuple[str, int, bool], Any] = {}

    def __call__(self, name: str, feed: Mapping[str, Array], quickly: bool | None = None) -> Array:
        """An output; it holds until the next call.

        Args:
            quickly: whether bfloat16 may be used; left out, where the output has 8 bits.
        """
        if missing := self.inputs - feed.keys():  # OpenVINO would make them up
            raise ValueError(f"inputs are missing: {', '.join(missing)}")
        image = feed.get(protocol.NET_IMAGE)
        channels = 0 if image is None else image.shape[-1]
        key = name, channels, name in self.eight_bits if quickly is None else quickly
        if key not in self.requests:
            self.requests[key] = self._compiled(*key).create_infer_request()
        result: Array = self.requests[key].infer(feed, True, True)[0]
        return result

    def _compiled(self, name: str, channels: int, quickly: bool) -> Any:
        import openvino

        whole = self.model.clone()
        model = openvino.Model([whole.output(name)], whole.get_parameters())
        model.reshape({each: _shape(each, channels) for each in model.inputs})
        precision = {"INFERENCE_PRECISION_HINT": self.quick if quickly else "f32"}
        return self.core.compile_model(model, "CPU", self.settings | precision)


def _shape(tensor: Any, channels: int) -> list[Any]:
    """The shape of an input, but that of an image the channels are told: free ones would keep
    OpenVINO's best convolutions away."""
    shape = list(tensor.get_partial_shape())
    return [*shape[:-1], channels] if protocol.NET_IMAGE in tensor.get_names() else shape
