"""Whether this machine has the arithmetic that config.yaml asks for."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from sakuga_core.config.schema import Config
from sakuga_core.config.server import NetworkSettings
from sakuga_core.errors import ConfigError
from sakuga_core.networks import custom
from sakuga_core.networks.families import Network
from sakuga_core.networks.registry import NETWORKS
from sakuga_core.protocol import canonical
from sakuga_core.repository.gpu import COMPUTE_CAPABILITIES
from sakuga_core.repository.networks import settings_of
from sakuga_server import cuda
from sakuga_server.runtime.binaries import HOME

BFLOAT16 = {"avx512_bf16", "amx_bf16", "avx_ne_convert"}  # Linux's names of instructions

Precisions = tuple[str, ...]
EVERYWHERE: Precisions = ("auto", "fp32")


def check(config: Config) -> None:
    """
    Raises:
        ConfigError: a network would have to run in a precision that it, its execution provider or
            this machine lacks.
    """
    for name, settings, network in _chosen(config):
        if settings.precision in EVERYWHERE:
            continue
        allowed, where = _possible(settings, network)
        if settings.precision not in allowed:
            listed = ", ".join(allowed)
            raise ConfigError(f"{name} is {settings.precision!r}; allowed {where}: {listed}")


def _chosen(config: Config) -> Iterator[tuple[str, NetworkSettings, Network | None]]:
    """Each setting of a precision: its name, what it stands beside, and the network that it is of;
    None: of all."""
    common = NetworkSettings(**{n: getattr(config.server, n) for n in NetworkSettings.model_fields})
    yield "server.precision", common, None
    rows = (*NETWORKS, *custom.rows(config.server.repository))
    for name, own in config.server.networks.items():
        for row in (row for row in rows if canonical(name) in (row.name, row.called)):
            settings = settings_of(row, config)
            # What is set for a family may be set otherwise for some of its networks.
            if own.precision and settings.precision == own.precision:
                yield f"server.networks.{name}.precision", settings, row


def _possible(settings: NetworkSettings, network: Network | None) -> tuple[Precisions, str]:
    """The precisions that a network may have on this machine, and in words why."""
    if settings.precision == "fp16" and network and not network.half:
        return EVERYWHERE, "of this network, which has no half-precision graph"
    if settings.precision == "bf16" and settings.accelerator not in ("auto", "openvino"):
        return EVERYWHERE, f"with the accelerator {settings.accelerator}"
    return _of_machine()


def _of_machine() -> tuple[Precisions, str]:
    """The precisions that there are on this machine, and in words why."""
    if gpus := cuda.count():
        found = {cuda.compute_capability(gpu) for gpu in range(gpus)}
        if found <= set(COMPUTE_CAPABILITIES):
            return (*EVERYWHERE, "fp16"), "on GPUs"
        return EVERYWHERE, f"on GPUs of compute capability {min(map(str, found))}"
    if os.environ.get(HOME):
        return EVERYWHERE, "without a GPU, in Triton's own onnxruntime"
    if _has_bf16():
        return (*EVERYWHERE, "bf16"), "without a GPU"
    return EVERYWHERE, "on this CPU, which has no bfloat16"


def _has_bf16() -> bool:
    """Whether this CPU calculates in bfloat16, and OpenVINO, which uses that, is there."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    return bool(BFLOAT16 & {*flags}) and importlib.util.find_spec("openvino") is not None
