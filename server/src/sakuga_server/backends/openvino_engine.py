"""OpenVINO on the CPU: networks compiled once, and kept in the user's cache."""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock, Thread
from typing import Any, NamedTuple

import numpy as np

from sakuga_core import protocol
from sakuga_core.atomic import write_whole
from sakuga_server import memory
from sakuga_server.imaging.picture import Array

# Its converter, which nothing here needs, would be half of the time that importing OpenVINO takes.
sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
import openvino  # noqa: E402

# Rows of features that an RRDBNet's last layers take at once, which keeps memory low: on a whole
# 512x512 picture in bfloat16 the peak is 1.1 GB, not 1.6.
TAIL_ROWS = 128

SHAPES = 64  # of inputs, after which a network is loaded again
# Seconds without a call, after which memory goes back to the system. To get it again takes a fifth
# of the time of the largest tiles, so it is kept longer as long as there is plenty.
IDLE, IDLE_WITH_PLENTY = 5.0, 60.0
KEPT = 32  # compiled networks in the cache; the least recently used one goes first


class OpenVINO:
    """A network, loaded.

    Args:
        file: an ONNX file; beside it may lie the two parts that `sakuga_export.families.split_rrdb`
            makes of an RRDBNet, which go first.
        threads: 0 means one a core.
        bf16: whether outputs of 8 bits may be computed in bfloat16, where the CPU has it.
        cache: folder of compiled networks; None: each process compiles its own.

    Raises:
        RuntimeError: the file holds no network that OpenVINO can run.
    """

    def __init__(self, file: Path, threads: int, bf16: bool, cache: Path | None = None) -> None:
        body, tail = file.with_name(protocol.OPENVINO_FILE), file.with_name(protocol.TAIL_FILE)
        in_parts = body.exists() and tail.exists()
        self.network = Compiled(body if in_parts else file, threads, bf16, cache)
        self.tail = Compiled(tail, threads, bf16, cache) if in_parts else None
        self.parts = [part for part in (self.network, self.tail) if part]
        self.cancelled = False
        self.idle = memory.Idle(self._release, IDLE, IDLE_WITH_PLENTY)

    def __call__(self, names: Iterable[str], feed: Mapping[str, Array]) -> dict[str, Array]:
        with self.idle.use():
            self.cancelled = False
            if self.tail is None:
                return {name: self.network(name, feed) for name in names}
            return {name: self._by_parts(name, self.tail, feed) for name in names}

    def cancel(self) -> None:
        self.cancelled = True
        for part in self.parts:
            if part.current:
                part.current.cancel()

    def _release(self) -> None:
        for part in self.parts:
            part.release()
        memory.trim()

    def prepare(self, name: str) -> None:
        """Compiles what an output of pictures without alpha in 8 bits needs, in the background.

        What fails here fails again, and is reported, when the output is requested.
        """
        Thread(target=self._prepare, args=(name,), daemon=True, name="compile").start()

    def _prepare(self, name: str) -> None:
        with suppress(RuntimeError):
            if self.tail is None:
                self.network.request(Variant(name, 3, name in protocol.EIGHT_BITS))
            else:
                quick = name in protocol.EIGHT_BITS
                self.network.request(Variant(protocol.NET_FEATURES, 3, quick))
                self.tail.request(Variant(name, 0, quick))

    def _by_parts(self, name: str, tail: "Compiled", feed: Mapping[str, Array]) -> Array:
        """An output of a network in two parts: the second goes over the features strip by strip."""
        quick = name in protocol.EIGHT_BITS
        features = self.network(protocol.NET_FEATURES, feed, quick)
        strips = list(tail_strips(features.shape[2], _inner(feed[protocol.NET_INNER])))
        whole: Array | None = None
        for strip in strips:
            if self.cancelled:
                raise RuntimeError("cancelled")
            part = tail(name, strip.of(features), quick)
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


class Variant(NamedTuple):
    """What is compiled by itself. Of an image in 8 and in 16 bits one alone is ever wanted, and
    they differ in precision; free channels would keep OpenVINO's best convolutions away."""

    output: str
    channels: int
    """Of the input image; 0 where the input is none."""
    quick: bool
    """Whether bfloat16 may be used."""


class Compiled:
    """A file, each variant compiled when it is first requested."""

    def __init__(self, file: Path, threads: int, bf16: bool, cache: Path | None) -> None:
        self.file, self.cache = file, cache
        self.core = openvino.Core()
        self.quick = "bf16" if bf16 and has_bf16() else "f32"
        self.settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        self.requests: dict[Variant, Any] = {}
        self.current: Any = None  # the latest of them
        self.shapes: set[tuple[tuple[int, ...], ...]] = set()
        self.lock = Lock()
        self.model: Any = None
        if cache is None or not any(cache.glob(f"{self._name()}-*")):
            self.model = self.core.read_model(file)  # now, so that a broken file isn't loaded

    def __call__(self, name: str, feed: Mapping[str, Array], quick: bool | None = None) -> Array:
        """An output; it holds until the next call.

        Args:
            quick: whether bfloat16 may be used; left out, where the output has 8 bits.
        """
        image = feed.get(protocol.NET_IMAGE)
        channels = 0 if image is None else image.shape[-1]
        quick = name in protocol.EIGHT_BITS if quick is None else quick
        request = self.request(Variant(name, channels, quick))
        inputs = {tensor.any_name for tensor in request.model_inputs}
        if missing := inputs - feed.keys():  # OpenVINO would make them up
            raise ValueError(f"inputs are missing: {', '.join(missing)}")
        self._count_shape(feed)
        if self.current is not request:  # each output's would stay
            self.release()
        self.current = request
        # Not `infer`, which can't be cancelled where a single thread computes.
        request.start_async(feed, share_inputs=True)
        request.wait()
        result: Array = request.get_output_tensor(0).data
        return result

    def _count_shape(self, feed: Mapping[str, Array]) -> None:
        """OpenVINO keeps half a megabyte for each shape that it has seen, for good. So after some
        all that is compiled is dropped, to be loaded again."""
        self.shapes.add(tuple(tensor.shape for tensor in feed.values()))
        if len(self.shapes) > SHAPES:
            self.shapes.clear()
            with self.lock:
                self.requests.clear()

    def release(self) -> None:
        """Gives the memory of the latest inputs back, up to gigabytes that OpenVINO keeps for the
        next."""
        if self.current:
            self.current.get_compiled_model().release_memory()

    def request(self, variant: Variant) -> Any:
        """OpenVINO's inference request of a variant, which is compiled if need be."""
        with self.lock:  # the background may be compiling the very same
            if variant not in self.requests:
                self.requests[variant] = self._compiled(variant).create_infer_request()
            return self.requests[variant]

    def _compiled(self, variant: Variant) -> Any:
        settings = self.settings | {
            "INFERENCE_PRECISION_HINT": self.quick if variant.quick else "f32"
        }
        if self.cache is None:
            return self._compile(variant, settings)
        kept = self.cache / f"{self._name()}-{_digest([*variant, settings])}.blob"
        with suppress(OSError, RuntimeError):
            found = self.core.import_model(kept.read_bytes(), "CPU", settings)
            kept.touch()
            return found
        compiled = self._compile(variant, settings)
        with suppress(OSError):  # nobody can write there, or the disk is full
            write_whole(kept, compiled.export_model().getvalue())
            _remove_oldest(self.cache)
        return compiled

    def _name(self) -> str:
        """Of what the cache keeps: changes with the file, OpenVINO and the CPU."""
        file = self.file.resolve()
        status = file.stat()
        facts = [str(file), status.st_size, status.st_mtime_ns, openvino.__version__, _cpu()]
        return f"{file.parent.parent.name}-{_digest(facts)}"

    def _compile(self, variant: Variant, settings: Mapping[str, Any]) -> Any:
        whole = (self.model or self.core.read_model(self.file)).clone()
        model = openvino.Model([whole.output(variant.output)], whole.get_parameters())
        model.reshape({each: _shape(each, variant.channels) for each in model.inputs})
        return self.core.compile_model(model, "CPU", settings)


@cache
def has_bf16() -> bool:
    """Whether this CPU calculates in bfloat16."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _shape(tensor: Any, channels: int) -> list[Any]:
    """The shape of an input, but that of an image with its channels."""
    shape = list(tensor.get_partial_shape())
    return [*shape[:-1], channels] if protocol.NET_IMAGE in tensor.get_names() else shape


def _digest(values: Iterable[Any]) -> str:
    return hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()[:16]


@cache
def _cpu() -> str:
    """This machine's CPU, and what it can do."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n", 1)[0].splitlines()
    return "\n".join(line for line in lines if line.startswith(("model name", "flags")))


def _remove_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.blob"), key=lambda file: file.stat().st_mtime)
    for file in files[:-KEPT]:
        file.unlink(missing_ok=True)
