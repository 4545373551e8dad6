"""A precision that a machine lacks is an error at start."""

from pathlib import Path

import pytest

from sakuga import Config, ConfigError
from sakuga_core.config.server import Server
from sakuga_server import cuda
from sakuga_server.runtime import precision
from sakuga_server.runtime.repository import bring_up

Patch = pytest.MonkeyPatch


def machine(
    patch: Patch, capabilities: tuple[str, ...] = (), bf16: bool = False, native: bool = False
) -> None:
    patch.setattr(cuda, "count", lambda: len(capabilities))
    patch.setattr(cuda, "compute_capability", lambda gpu: capabilities[gpu])
    patch.setattr(precision, "_has_bf16", lambda: bf16)
    if native:
        patch.setenv("SAKUGA_TRITON", "/opt/tritonserver")
    else:
        patch.delenv("SAKUGA_TRITON", raising=False)


@pytest.mark.parametrize("chosen", ["auto", "fp32"])
def test_two_precisions_are_everywhere(monkeypatch: Patch, chosen: str) -> None:
    for capabilities in ((), ("6.1",), ("9.0", "9.0")):
        machine(monkeypatch, capabilities)
        precision.check(Server.model_validate({"precision": chosen}))


def test_half_precision_is_for_gpus(monkeypatch: Patch) -> None:
    machine(monkeypatch, ("8.9", "9.0"))
    precision.check(Server(precision="fp16"))
    machine(monkeypatch, bf16=True)
    with pytest.raises(ConfigError, match=r"precision is 'fp16'; allowed without a GPU: .*, bf16"):
        precision.check(Server(precision="fp16"))
    machine(monkeypatch, ("6.1", "9.0"))
    with pytest.raises(ConfigError, match=r"on GPUs of compute capability 6\.1: auto, fp32$"):
        precision.check(Server(precision="fp16"))


def test_bfloat16_is_for_cpus_that_have_it(monkeypatch: Patch) -> None:
    machine(monkeypatch, bf16=True)
    precision.check(Server(precision="bf16"))
    for wrong in ({"bf16": False}, {"bf16": True, "native": True}, {"capabilities": ("9.0",)}):
        machine(monkeypatch, **wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=r"server\.precision is 'bf16'; allowed"):
            precision.check(Server(precision="bf16"))


def test_a_single_networks_precision_is_named(monkeypatch: Patch, tmp_path: Path) -> None:
    machine(monkeypatch)
    config = Config.model_validate({"server": {"networks": {"u2net": {"precision": "fp16"}}}})
    with pytest.raises(ConfigError, match=r"^server\.networks\.u2net\.precision is 'fp16'; all"):
        bring_up(tmp_path / "runtime", config)
    assert not (tmp_path / "runtime").exists()
