"""Whether this machine has the arithmetic that config.yaml asks for."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from sakuga_core.config.server import Server
from sakuga_core.errors import ConfigError
from sakuga_core.repository.gpu import COMPUTE_CAPABILITIES
from sakuga_server import cuda
from sakuga_server.runtime.binaries import HOME

BFLOAT16 = {"avx512_bf16", "amx_bf16", "avx_ne_convert"}  # Linux's names of instructions


def check(settings: Server) -> None:
    """
    Raises:
        ConfigError: a network would have to run in a precision that this machine lacks.
    """
    chosen = dict(_chosen(settings))
    if set(chosen.values()) <= {"auto", "fp32"}:
        return
    allowed, where = _possible()
    for name, precision in chosen.items():
        if precision not in allowed:
            raise ConfigError(f"{name} is {precision!r}; allowed {where}: {', '.join(allowed)}")


def _chosen(settings: Server) -> Iterator[tuple[str, str]]:
    """Each setting of a precision: its name, and the precision."""
    yield "server.precision", settings.precision
    for name, network in settings.networks.items():
        if network.precision:
            yield f"server.networks.{name}.precision", network.precision


def _possible() -> tuple[tuple[str, ...], str]:
    """The precisions that there are on this machine, and in words why."""
    if gpus := cuda.count():
        found = {cuda.compute_capability(gpu) for gpu in range(gpus)}
        if found <= set(COMPUTE_CAPABILITIES):
            return ("auto", "fp32", "fp16"), "on GPUs"
        return ("auto", "fp32"), f"on GPUs of compute capability {min(map(str, found))}"
    if os.environ.get(HOME):
        return ("auto", "fp32"), "without a GPU, in Triton's own onnxruntime"
    if _has_bf16():
        return ("auto", "fp32", "bf16"), "without a GPU"
    return ("auto", "fp32"), "on this CPU, which has no bfloat16"


def _has_bf16() -> bool:
    """Whether this CPU calculates in bfloat16, and OpenVINO, which uses that, is there."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    return bool(BFLOAT16 & {*flags}) and importlib.util.find_spec("openvino") is not None
