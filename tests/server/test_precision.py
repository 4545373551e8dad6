"""A precision that a machine lacks is an error at start."""

from pathlib import Path

import pytest

from sakuga import Config, ConfigError
from sakuga_core.networks.registry import MEMBERS
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


def config(**server: object) -> Config:
    return Config.model_validate({"server": server})


@pytest.mark.parametrize("chosen", ["auto", "fp32"])
def test_two_precisions_are_everywhere_and_nothing_is_looked_up(
    monkeypatch: Patch, chosen: str
) -> None:
    asked: list[None] = []
    monkeypatch.setattr(cuda, "count", lambda: asked.append(None))
    precision.check(config(precision=chosen, networks={"u2net": {"precision": chosen}}))
    assert not asked


def test_half_precision_is_for_gpus(monkeypatch: Patch) -> None:
    machine(monkeypatch, ("8.9", "9.0"))
    precision.check(config(precision="fp16"))
    machine(monkeypatch, bf16=True)
    with pytest.raises(ConfigError, match=r"precision is 'fp16'; allowed without a GPU: .*, bf16"):
        precision.check(config(precision="fp16"))
    machine(monkeypatch, ("6.1", "9.0"))
    with pytest.raises(ConfigError, match=r"on GPUs of compute capability 6\.1: auto, fp32$"):
        precision.check(config(precision="fp16"))


def test_bfloat16_is_for_cpus_that_have_it(monkeypatch: Patch) -> None:
    machine(monkeypatch, bf16=True)
    precision.check(config(precision="bf16"))
    for wrong in ({"bf16": False}, {"bf16": True, "native": True}, {"capabilities": ("9.0",)}):
        machine(monkeypatch, **wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=r"server\.precision is 'bf16'; allowed"):
            precision.check(config(precision="bf16"))


def test_a_single_networks_precision_is_named(monkeypatch: Patch, tmp_path: Path) -> None:
    machine(monkeypatch)
    with pytest.raises(ConfigError, match=r"^server\.networks\.u2net\.precision is 'fp16'; all"):
        bring_up(tmp_path / "runtime", config(networks={"u2net": {"precision": "fp16"}}))
    assert not (tmp_path / "runtime").exists()


def test_a_network_without_a_half_precision_graph_cant_be_asked_for_one(monkeypatch: Patch) -> None:
    machine(monkeypatch, ("9.0",))
    precision.check(config(precision="fp16"))
    for name in ("migan", "lama-anime"):
        with pytest.raises(
            ConfigError, match=rf"{name}\.precision is 'fp16'; .* no half-precision"
        ):
            precision.check(config(networks={name: {"precision": "fp16"}}))


def test_bfloat16_needs_openvino(monkeypatch: Patch) -> None:
    machine(monkeypatch, bf16=True)
    precision.check(config(precision="bf16", accelerator="openvino"))
    with pytest.raises(ConfigError, match=r"is 'bf16'; allowed with the accelerator none: auto"):
        precision.check(config(precision="bf16", accelerator="none"))
    with pytest.raises(ConfigError, match=r"^server\.networks\.u2net\.precision is 'bf16'"):
        precision.check(config(accelerator="none", networks={"u2net": {"precision": "bf16"}}))


def test_a_familys_precision_is_checked_though_one_of_its_networks_has_another(
    monkeypatch: Patch,
) -> None:
    machine(monkeypatch)
    networks = {
        "waifu2x-cunet": {"precision": "fp16"},
        "waifu2x-cunet-2x-denoise3": {"precision": "fp32"},
    }
    with pytest.raises(ConfigError, match=r"^server\.networks\.waifu2x-cunet\.precision is 'fp16'"):
        precision.check(config(networks=networks))
    names = {row.name: {"precision": "fp32"} for row in MEMBERS}
    precision.check(config(networks={"waifu2x-cunet": {"precision": "fp16"}, **names}))
