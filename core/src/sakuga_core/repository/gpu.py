"""How Triton runs networks on GPUs: which file, which execution provider, engines and warm-up."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sakuga_core.config.schema import Config
from sakuga_core.config.server import NetworkSettings
from sakuga_core.networks.families import HALF_FILE, Network
from sakuga_core.paths import cache_folder

# Those with fast half precision. Triton compares them exactly, so each stands here; a GPU of
# another one, and a CPU, take `default_model_filename`.
COMPUTE_CAPABILITIES = (
    *("7.0", "7.5", "8.0", "8.6", "8.7", "8.8", "8.9", "9.0"),
    *("10.0", "10.3", "11.0", "12.0", "12.1"),
)
BYTES_A_GIGABYTE = 10**9

Dims = tuple[int, ...]


@dataclass(frozen=True)
class Input:
    """A tensor that a network takes, and its sizes without the batch axis."""

    name: str
    least: Dims
    usual: Dims
    """What TensorRT chooses its kernels for."""
    most: Dims
    kind: str = "TYPE_UINT8"

    @property
    def tensor(self) -> dict[str, Any]:
        """As config.pbtxt declares it."""
        pairs = zip(self.least, self.most, strict=True)
        dims = [most if least == most else -1 for least, most in pairs]
        return {"name": self.name, "data_type": self.kind, "dims": dims}

    def warm(self, dims: Dims) -> dict[str, Any]:
        """As a warm-up request has it."""
        return {"data_type": self.kind, "dims": list(dims), "random_data": True}


def fixed(name: str, *dims: int) -> Input:
    """An input of one size."""
    return Input(name, dims, dims, dims)


def files(network: Network, settings: NetworkSettings) -> dict[str, Any]:
    """Which file Triton takes where."""
    half = network.half and settings.precision in ("auto", "fp16")
    by_capability = dict.fromkeys(COMPUTE_CAPABILITIES, HALF_FILE) if half else {}
    return {
        "default_model_filename": network.file,
        **({"cc_model_filenames": by_capability} if by_capability else {}),
    }


def accelerated(
    settings: NetworkSettings, inputs: Sequence[Input], batch: int, folder: Path
) -> dict[str, Any]:
    """What runs a network inside onnxruntime, if that isn't its default.

    Args:
        batch: the largest.
        folder: of TensorRT's engines.
    """
    warm_up = {"model_warmup": list(_warm_up(inputs, batch))}
    if settings.accelerator == "openvino":
        return _optimization("cpu", "openvino")
    if settings.accelerator == "cuda":
        # Tensor cores take channels last; without this each layer transposes.
        return _optimization("gpu", "cuda", {"prefer_nhwc": "1"}) | warm_up
    if settings.accelerator == "tensorrt":
        return _optimization("gpu", "tensorrt", _tensorrt(inputs, batch, folder)) | warm_up
    return {}


def _optimization(
    device: str, name: str, parameters: dict[str, str] | None = None
) -> dict[str, Any]:
    entry = {"name": name, **({"parameters": parameters} if parameters else {})}
    accelerators = {f"{device}_execution_accelerator": [entry]}
    return {"optimization": {"execution_accelerators": accelerators}}


def _tensorrt(inputs: Sequence[Input], batch: int, folder: Path) -> dict[str, str]:
    """One engine for all sizes, built once: without profiles each new size would build another, for
    tens of seconds."""
    return {
        "trt_engine_cache_enable": "true",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "true",
        "trt_timing_cache_path": str(folder.parent),
        "trt_profile_min_shapes": _profile([(each.name, (1, *each.least)) for each in inputs]),
        "trt_profile_opt_shapes": _profile([(each.name, (1, *each.usual)) for each in inputs]),
        "trt_profile_max_shapes": _profile([(each.name, (batch, *each.most)) for each in inputs]),
    }


def _profile(shapes: Sequence[tuple[str, Dims]]) -> str:
    return ",".join(f"{name}:{'x'.join(map(str, dims))}" for name, dims in shapes)


def _warm_up(inputs: Sequence[Input], batch: int) -> Iterator[dict[str, Any]]:
    """Requests before a server is ready: the usual size, alone and in a full batch; the largest."""
    usual = {each.name: each.warm(each.usual) for each in inputs}
    largest = {each.name: each.warm(each.most) for each in inputs}
    yield {"name": "usual", "batch_size": 1, "inputs": usual}
    if batch > 1:
        yield {"name": "full batch", "batch_size": batch, "inputs": usual}
    if largest != usual:
        yield {"name": "largest", "batch_size": 1, "inputs": largest}


def engine_folder(network: Network, config: Config) -> Path:
    """Where TensorRT keeps a network's engines: by its row, which has the checksums of its weights.
    The files' names have the GPU's architecture, TensorRT's version and the graph's structure."""
    base = config.server.engine_cache or cache_folder() / "tensorrt"
    row = hashlib.sha256(repr(network).encode()).hexdigest()[:12]
    return base / f"{network.folder}-{row}"


def memory(gigabytes: float | None) -> dict[str, int]:
    """Parameters of onnxruntime's memory on a GPU. It grows by what is needed; the default, powers
    of two, holds up to twice that."""
    limit = {} if gigabytes is None else {"gpu_mem_limit": int(gigabytes * BYTES_A_GIGABYTE)}
    return {"arena_extend_strategy": 1, **limit}
