"""Exported networks in onnxruntime: on its CUDA provider, on TensorRT, and on the CPU."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_networks import Network
from gpu_plan import CPU, CUDA, TENSORRT, Case
from gpu_torch import GIGABYTE
from torch import Tensor

PROVIDERS = {
    CUDA: "CUDAExecutionProvider",
    TENSORRT: "TensorrtExecutionProvider",
    CPU: "CPUExecutionProvider",
}
FILES = {"fp16": "model.fp16.onnx", "fp32": "model.onnx"}

# As Triton runs them (`sakuga_core.repository.gpu`): tensor cores take channels last, an exhaustive
# search would run anew for each size of tile, and memory grows by what is needed.
CUDA_OPTIONS = {
    "prefer_nhwc": "1",
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
}

# What networks take beside IMAGE, and of which sizes: whole pictures, not letterboxed.
OTHER_INPUTS = {"INNER": (1, 1, 1, 1), "LETTERBOX": (1,)}


class OnnxRun:
    """A session with its batch where the session's device finds it.

    Args:
        before: bytes that were free on the device before the session was made.
    """

    def __init__(self, session: Any, batch: Tensor, before: int) -> None:
        self.session, self.before = session, before
        self.output = session.get_outputs()[0].name  # RESULT or MASK
        self.inputs = _inputs(session, batch)  # the binding knows but their addresses
        self.binding = session.io_binding()
        device = batch.device.type
        for name, tensor in self.inputs.items():
            self.binding.bind_input(
                name, device, 0, np.uint8, tuple(tensor.shape), tensor.data_ptr()
            )
        self.binding.bind_output(self.output, device)

    def __call__(self) -> None:
        self.session.run_with_iobinding(self.binding)

    def result(self) -> Tensor:
        found = torch.from_numpy(self.binding.copy_outputs_to_cpu()[0])
        return found * 255 if found.is_floating_point() else found

    def peak_gb(self) -> float:
        """By what the device's free memory fell: the arena keeps what it once needed."""
        return (self.before - _free()) / GIGABYTE if self.before else 0.0


def _inputs(session: Any, batch: Tensor) -> dict[str, Tensor]:
    names = [tensor.name for tensor in session.get_inputs()]
    others = {
        name: torch.zeros(len(batch), *sizes, dtype=torch.uint8, device=batch.device)
        for name, sizes in OTHER_INPUTS.items()
        if name in names
    }
    return {"IMAGE": batch, **others}


def _free() -> int:
    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else 0


def prepared(case: Case, file: Path, batch: Tensor, engines: Path) -> OnnxRun:
    """The network of a case, after its first run.

    Args:
        file: its export.
        batch: uint8 (B, H, W, 3), on the device.
        engines: the folder for those that TensorRT builds.
    """
    before = 0 if case.engine == CPU else _free()
    run = OnnxRun(_session(case, file, engines), batch, before)
    run()
    return run


def _session(case: Case, file: Path, engines: Path) -> Any:
    import onnxruntime

    wanted = PROVIDERS[case.engine]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, _providers(case, engines))
    if (found := session.get_providers()[0]) != wanted:
        raise RuntimeError(f"onnxruntime took {found} instead of {wanted}")
    session.disable_fallback()
    return session


def _providers(case: Case, engines: Path) -> list[Any]:
    cuda = (PROVIDERS[CUDA], CUDA_OPTIONS)
    if case.engine == TENSORRT:
        parameters, _ = tensorrt_options(case.network, engines)
        Path(parameters["trt_engine_cache_path"]).mkdir(parents=True, exist_ok=True)
        return [(PROVIDERS[TENSORRT], parameters), cuda]
    return [cuda] if case.engine == CUDA else [PROVIDERS[CPU]]


def tensorrt_options(name: str, engines: Path) -> tuple[Mapping[str, str], int]:
    """What config.pbtxt says for a network with `accelerator: tensorrt`, and its largest batch.

    Raises:
        ImportError: `sakuga_core` needs packages that aren't here.
    """
    from sakuga_core.config.schema import Config
    from sakuga_core.networks.families import Enhancer, Segmenter
    from sakuga_core.networks.registry import by_name
    from sakuga_core.repository import networks

    config = Config()
    config.server.accelerator, config.server.engine_cache = "tensorrt", engines
    row = by_name(name)
    writers: dict[type, Any] = {Segmenter: networks.segmenter_net, Enhancer: networks.tile_net}
    model = writers.get(type(row), networks.net)(row, config)
    (entry,) = model["optimization"]["execution_accelerators"]["gpu_execution_accelerator"]
    return entry["parameters"], model["max_batch_size"]


def missing(case: Case, network: Network, repository: Path) -> str:
    """Why an exported network can't run here; "" if nothing is known against it."""
    provider = PROVIDERS[case.engine]
    if not (there := _available()):
        return "onnxruntime isn't installed here"
    if provider not in there:
        return f"onnxruntime has no {provider} here"
    if not exported(case, repository).exists():
        return f"{network.name} has no {FILES[case.precision]} in {repository.name}"
    return _over_profile(case) if case.engine == TENSORRT else ""


def _over_profile(case: Case) -> str:
    try:
        _, largest = tensorrt_options(case.network, Path())
    except ImportError as error:
        return f"without sakuga_core there are no profiles for TensorRT: {error}"
    return "" if case.batch <= largest else f"the profile ends at batches of {largest}"


def exported(case: Case, repository: Path) -> Path:
    return repository / case.network.replace("-", "_") / "1" / FILES[case.precision]


@cache
def _available() -> list[str]:
    """onnxruntime's providers; its GPU build finds CUDA's libraries beside torch's."""
    try:
        import onnxruntime
    except ImportError:
        return []
    found = list(onnxruntime.get_available_providers())
    if PROVIDERS[CUDA] in found and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
    return found
