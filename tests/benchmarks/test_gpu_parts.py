"""The parts of the GPU's benchmark: what it measures, in which order, and its facts and goals."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from networks_for_tests import EXPORTED, PROJECT
from sakuga_core.networks.families import Upscaler
from sakuga_core.networks.registry import ENHANCERS, by_name
from sakuga_core.repository.networks import BATCH_PIXELS
from sakuga_export.families import graph, upscalers
from sakuga_export.fetch import fetch
from sakuga_server.imaging import blending

SCRIPT = PROJECT / "benchmarks" / "gpu.py"
sys.path.append(str(SCRIPT.parent))

import gpu  # noqa: E402
import gpu_layers  # noqa: E402
import gpu_measure  # noqa: E402
import gpu_networks  # noqa: E402
import gpu_onnx  # noqa: E402
import gpu_plan  # noqa: E402
import gpu_report  # noqa: E402
import gpu_server  # noqa: E402
import gpu_torch  # noqa: E402
from gpu_plan import Case  # noqa: E402

NAMES = [network.name for network in gpu_networks.NETWORKS]
H100 = {"device": "NVIDIA H100 80GB HBM3"}


def bench(folder: Path) -> gpu_measure.Bench:
    networks = {network.name: network for network in gpu_networks.TINY}
    cpu = torch.device("cpu")
    return gpu_measure.Bench(cpu, networks, folder, folder, folder, rate=1, seconds=0)


SMALL = Case("realesr-animevideov3", gpu_plan.EAGER, "fp32", 8, 1)


def test_torch_compile_is_given_one_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[dict[str, Any]] = []

    def compiled(net: torch.nn.Module, **options: Any) -> torch.nn.Module:
        given.append(options)
        return net

    monkeypatch.setattr(torch, "compile", compiled)
    monkeypatch.setattr(torch.compiler, "reset", lambda: None)
    with torch.no_grad():
        row = bench(tmp_path).measured(replace(SMALL, engine=gpu_plan.COMPILED))
    assert (row.failed, row.against) == ("", "CPU")
    assert given == [{"dynamic": False}]


def failing(error: Exception) -> Callable[..., object]:
    def fail(*_: object) -> object:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), "out of"),
        (ValueError("a|b\nand more"), "failed: a/b"),
        (KeyError(), "failed: KeyError"),
    ],
)
def test_what_fails_is_a_row_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, reason: str
) -> None:
    monkeypatch.setattr(gpu_torch, "prepared", failing(error))
    row = bench(tmp_path).measured(SMALL)
    assert row.failed.startswith(reason)
    assert gpu_report.line(row).count("|") == len(gpu_report.COLUMNS) + 1


def test_figures_stay_where_there_is_nothing_to_compare_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = bench(tmp_path)
    monkeypatch.setattr(here, "_one_by_one", failing(MemoryError()))
    with torch.no_grad():
        row = here.measured(SMALL)
    assert (row.failed, row.against, row.levels) == ("", "failed: MemoryError", None)
    assert row.milliseconds > 0


def test_results_that_are_no_numbers_are_all_levels_off() -> None:
    levels, decibels = gpu_measure.difference(torch.tensor([1.0, torch.nan]), torch.ones(2))
    assert levels == 255
    assert decibels == pytest.approx(3.01, abs=0.01)


def test_nothing_is_begun_that_does_not_fit(tmp_path: Path) -> None:
    times = iter([0, 40, 51, 30, 45])
    budget = gpu_plan.Budget(100, clock=lambda: next(times))
    compiled = replace(SMALL, engine=gpu_plan.COMPILED)
    assert [budget.allows(each) for each in (SMALL, compiled, compiled)] == [True, False, True]
    (before, after) = (replace(SMALL, batch=2), SMALL)
    budget = gpu_plan.Budget(1, first_runs=False, clock=iter([0, 0.5, 1.5]).__next__)
    empty = gpu_report.Found({"device": "CPU"}, 1)
    with torch.no_grad():
        *_, found = gpu.measure(bench(tmp_path), [before, after], budget, empty)
    assert [row.case for row in found.rows] == [before]
    assert found.left_out == [(after, gpu_plan.TIME_IS_UP)]
    assert "time was up (realesr-animevideov3 fp32 8²×1)" in gpu_report.report(found)[-1]


def test_goals_come_first_and_compilers_last() -> None:
    cases = gpu_plan.plan(gpu_networks.NETWORKS, gpu_plan.CUDA)
    assert len(cases) == len(set(cases))
    assert cases[0] == Case(NAMES[0], gpu_plan.EAGER, "fp16", 1024, 1)
    goals = [at for at, case in enumerate(cases) if (case.network, case.batch) == (NAMES[1], 25)]
    assert goals[0] < 8
    engines = [case.engine for case in cases]
    assert set(engines[engines.index(gpu_plan.COMPILED) :]) == {gpu_plan.COMPILED}
    assert {case.side for case in cases if case.network in EXPORTED} == {256, 512, 1024}


def row(network: str, side: int, batch: int, **figures: Any) -> gpu_measure.Row:
    return gpu_measure.Row(Case(network, "torch", "fp16", side, batch), **figures)


def verdicts(*rows: gpu_measure.Row, device: dict[str, str] = H100) -> list[bool | None]:
    found = gpu_report.Found(device, 800, rows=list(rows))
    return [goal.met for goal in gpu_report.goals(found)]


def test_goals_are_for_two_cards() -> None:
    assert verdicts(device={"device": "NVIDIA A100"}) == []
    assert verdicts(device={"device": "NVIDIA H200"}) == verdicts() == [None, None]


@pytest.mark.parametrize(("share", "met"), [(0.49, False), (0.5, True)])
def test_the_goal_of_anime_is_half_of_the_matrix_rate(share: float, met: bool) -> None:
    others = row(NAMES[0], 512, 4, share=0.9), row(NAMES[0], 1024, 1, share=0.9, failed="oops")
    assert verdicts(row(NAMES[0], 1024, 1, share=share), *others)[0] is met


@pytest.mark.parametrize(
    ("batch", "milliseconds", "gigabytes", "met"),
    [
        (25, 99, 1.4, True),
        (25, 101, 1.4, False),
        (25, 99, 1.6, False),
        (8, 24, 1.4, True),  # four batches hold the 25 tiles
        (8, 26, 1.4, False),
    ],
)
def test_the_goal_of_aurasr_is_time_and_memory(
    batch: int, milliseconds: float, gigabytes: float, met: bool
) -> None:
    figures = {"milliseconds": milliseconds, "peak_gb": gigabytes}
    assert verdicts(row(NAMES[1], 64, batch, **figures))[1] is met


@pytest.mark.parametrize(("levels", "met"), [(2, True), (3, False)])
def test_the_goal_of_half_precision_is_for_the_worst_row(levels: int, met: bool) -> None:
    rows = [row(NAMES[2], 256, 1, levels=levels), row(NAMES[2], 256, 4, levels=0)]
    assert verdicts(*rows)[2:] == [met]


@pytest.mark.full
def test_pictures_go_end_to_end() -> None:
    rows = gpu_server.served(PROJECT / "model_repository", dry=True)
    kinds = [(row.network, row.at_once) for row in rows]
    assert kinds == [(name, at_once) for name in EXPORTED for at_once in gpu_server.TINY_AT_ONCE]
    assert all(row.pictures > 0 for row in rows)


def test_it_measures_what_is_served() -> None:
    network = by_name("realesr-animevideov3")
    assert isinstance(network, Upscaler)
    net, image = upscalers.build(network), gpu_networks.drawn(2, 16)
    with torch.inference_mode():
        expected, _ = graph.Served(net)(image)
        np.testing.assert_array_equal(gpu_layers.Levels(net, mask=False)(image), expected)


def test_it_takes_published_weights(tmp_path: Path) -> None:
    network = gpu_networks.VIDEO
    net, kind = gpu_networks.loaded(network, tmp_path)
    assert kind == "generated"
    twice = {name: 2 * value for name, value in net.state_dict().items()}
    torch.save({"params": twice}, tmp_path / network.files[0])
    net, kind = gpu_networks.loaded(network, tmp_path)
    assert kind == "published"
    assert all(torch.equal(twice[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize("side", [64, 96, 256, 1024])
def test_its_tiles_of_aurasr_are_the_servers(side: int) -> None:
    assert gpu_report.windows(side) == len(blending.layout(side, side, 64, 4, "window").places)
    assert gpu_report.AURA_MIX == blending.MIX


@pytest.mark.parametrize("network", gpu_networks.NETWORKS, ids=NAMES)
def test_its_facts_are_the_registrys(network: gpu_networks.Network) -> None:
    row = by_name(network.name)
    assert network.fixed == getattr(row, "side", None)
    if isinstance(row, Upscaler):
        (weights,) = row.weights
        assert weights.packaged is not None
        assert network.files == (weights.file, Path(weights.packaged.member).name)
        assert network.kilomacs == row.kilomacs
        pixels = max(side**2 * batch for side, batch in network.shapes)
        assert pixels <= BATCH_PIXELS[row.architecture]
    assert gpu_networks.AURA.kilomacs == ENHANCERS[0].kilomacs


@pytest.mark.parametrize(
    ("network", "parameters"),
    zip(
        gpu_networks.NETWORKS,
        (4_467_779, 204_933_827, 621_424, 44_046_790, 44_009_869),
        strict=True,
    ),
    ids=NAMES,
)
def test_its_costs_are_what_torch_counts(network: gpu_networks.Network, parameters: int) -> None:
    side, _ = network.shapes[0]
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        net = network.build().eval()
        net(torch.rand(1, 3, side, side))
    assert counter.get_total_flops() / 2000 / side**2 == pytest.approx(network.kilomacs, rel=1e-3)
    assert sum(p.numel() for p in net.parameters()) == parameters


def test_its_u2net_is_the_published_one() -> None:
    """Its layers run in the order of the published graph's, so the weights fit one by one."""
    file = fetch(by_name("u2net").weights[0]).path
    net, image = gpu_layers.U2Net().eval(), torch.rand(1, 3, 320, 320)
    with torch.no_grad():
        take_weights(net, onnx.load(file))
        found = net(image).numpy()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    expected, *_ = session.run(None, {"input.1": image.numpy()})
    np.testing.assert_allclose(found, expected, atol=1e-4)


def take_weights(net: torch.nn.Module, model: onnx.ModelProto) -> None:
    """Those of a graph, whose norms are folded into its convolutions."""
    tensors = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    nodes = iter([node for node in model.graph.node if node.op_type == "Conv"])

    def fill(conv: torch.nn.Module, _: object) -> None:
        _, weight, bias = next(nodes).input
        conv.weight.copy_(torch.tensor(tensors[weight]))  # type: ignore[operator]
        conv.bias.copy_(torch.tensor(tensors[bias]))  # type: ignore[operator]

    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0
        elif isinstance(module, torch.nn.Conv2d):
            module.register_forward_pre_hook(fill)


def test_tensorrt_takes_the_servers_profiles(tmp_path: Path) -> None:
    parameters, batch = gpu_onnx.tensorrt_options("u2net", tmp_path)
    assert (parameters["trt_profile_max_shapes"], batch) == ("IMAGE:4x320x320x3", 4)
    assert parameters["trt_engine_cache_path"].startswith(str(tmp_path))
    parameters, batch = gpu_onnx.tensorrt_options(NAMES[0], tmp_path)
    assert parameters["trt_profile_opt_shapes"] == "IMAGE:1x512x512x3,INNER:1x1x1x1x1"
    assert batch == 1
