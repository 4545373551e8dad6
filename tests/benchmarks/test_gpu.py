"""The GPU's benchmark runs on a CPU, too: at small size, so that it will where there is a GPU."""

import json
import subprocess
import sys
from argparse import Namespace
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from networks_for_tests import EXPORTED, PROJECT
from sakuga_core.networks.families import Upscaler
from sakuga_core.networks.registry import ENHANCERS, by_name
from sakuga_export.families import graph, upscalers
from sakuga_server.imaging import blending, tiling

SCRIPT = PROJECT / "benchmarks" / "gpu.py"
ABSENT = ("click", "cv2", "google.protobuf", "onnx", "onnxruntime", "pydantic", "yaml")


@pytest.fixture(scope="module")
def gpu() -> ModuleType:
    spec = spec_from_file_location("gpu", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    gpu = module_from_spec(spec)
    sys.modules["gpu"] = gpu
    spec.loader.exec_module(gpu)
    return gpu


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run gives on generated weights."""
    folder = tmp_path_factory.mktemp("gpu")
    options = ["--device", "cpu", "--small", "--no-server", "--out", folder, "--weights", folder]
    subprocess.run([sys.executable, SCRIPT, *map(str, options)], check=True, capture_output=True)
    return folder


@pytest.fixture
def found(results: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((results / "gpu.json").read_text())
    return found


def test_it_measures_aurasr(found: dict[str, Any]) -> None:
    rows = found["rows"]
    kinds = [(row["network"], row["precision"]) for row in rows]
    assert kinds[:2] == [("baked", "fp32"), ("baked", "bf16")]
    assert all(0 < row["milliseconds"] < float("inf") for row in rows)
    assert rows[0]["error"] == 0 < rows[1]["error"] < 0.05


@pytest.mark.parametrize("name", EXPORTED)
@pytest.mark.parametrize("tiles", [1, 4])
def test_it_measures_super_resolution(found: dict[str, Any], name: str, tiles: int) -> None:
    rows = [r for r in found["upscaled"] if (r["network"], r["tiles"]) == (name, tiles)]
    assert [row["precision"] for row in rows][:2] == ["fp32", "fp16"]
    assert all(row["failed"] == "" and row["weights"] == "generated" for row in rows)
    assert (rows[0]["levels"], rows[0]["decibels"]) == (0, None)
    assert all(row["levels"] <= 3 and (row["decibels"] or 99) > 45 for row in rows[1:])


def test_its_speeds_are_those_of_the_work_done(found: dict[str, Any]) -> None:
    kilomacs = {name: by_name(name).kilomacs for name in EXPORTED}  # type: ignore[attr-defined]
    for row in found["upscaled"]:
        operations = 2000 * kilomacs[row["network"]] * row["tiles"] * row["window"] ** 2
        assert row["tflops"] == pytest.approx(operations * row["pictures"] / 1e12)
        assert row["share"] == pytest.approx(row["tflops"] / found["matrix_tflops"])
        assert row["pictures"] == pytest.approx(1000 / row["milliseconds"])


def test_it_writes_its_tables(results: Path, found: dict[str, Any]) -> None:
    text = (results / "gpu.md").read_text()
    assert text.count("\n| ") == len(found["rows"]) + 1 + len(found["upscaled"]) + 1
    assert len({line.count("|") for line in text.splitlines() if "realesr" in line[:9]}) == 1


def test_pictures_go_end_to_end(gpu: ModuleType) -> None:
    sizes = {"cases": gpu.SMALL_CASES, "at_once": (1, 2), "runs": 1}
    rows = gpu.served(Namespace(device="cpu", no_server=False, **sizes))
    kinds = [(row.network, row.at_once) for row in rows]
    assert kinds == [(name, at_once) for name in EXPORTED for at_once in (1, 2)]
    assert all(row.pictures > 0 for row in rows)


def test_it_needs_torch_and_numpy_alone(tmp_path: Path) -> None:
    code = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({ABSENT}));"
        f"gpu = runpy.run_path({str(SCRIPT)!r});"
        "from argparse import Namespace;"
        "print(gpu['served'](Namespace(no_server=False)))"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    message, rows = run.stdout.splitlines()
    assert message.startswith("without the server: ModuleNotFoundError")
    assert rows == "[]"


def test_what_does_not_fit_is_a_row_without_figures(gpu: ModuleType) -> None:
    def make() -> object:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    blank = gpu.Upscaled("net", "generated", "fp32", 16, 1, 1, 16)
    row, result = gpu.tried(blank, 1, make, gpu.drawn(1, 16), 1)
    assert (row.failed, result) == ("out of memory", None)
    line = list(gpu.upscaled_table([row]))[-1]
    assert "out of memory" in line
    assert line.count("|") == 13


def test_targets_are_for_an_h200(gpu: ModuleType) -> None:
    row = partial(gpu.Upscaled, weights="", precision="fp16", tiles=1, batch=1, window=1024)
    rows = [row(name, side=1024, pictures=50) for name in EXPORTED]
    assert gpu.targets(rows, "NVIDIA H100 80GB HBM3") == []
    anime, video = gpu.targets(rows, "NVIDIA H200")[1:]
    assert anime.endswith("50.0 pictures a second, goal 33: reached.")
    assert video.endswith("50.0 pictures a second, goal 200: not reached.")


def test_it_measures_what_is_served(gpu: ModuleType) -> None:
    network = by_name("realesr-animevideov3")
    assert isinstance(network, Upscaler)
    net, image = upscalers.build(network), gpu.drawn(2, 16)
    with torch.inference_mode():
        expected, _ = graph.Served(net)(image)
        np.testing.assert_array_equal(gpu.in_levels(net, torch.float32)(image), expected)


def test_it_takes_published_weights(gpu: ModuleType, tmp_path: Path) -> None:
    network = gpu.UPSCALERS[1]
    with torch.no_grad():
        state, kind = gpu.state_of(network, tmp_path)
        assert kind == "generated"
        torch.save({"params": {name: 2 * value for name, value in state.items()}}, tmp_path / "a")
        (tmp_path / "a").rename(tmp_path / network.files[0])
        twice, kind = gpu.state_of(network, tmp_path)
    assert kind == "published"
    assert all(torch.equal(2 * value, twice[name]) for name, value in state.items())


@pytest.mark.parametrize("side", [64, 96, 256, 1024])
def test_its_facts_of_aurasr_are_the_servers(gpu: ModuleType, side: int) -> None:
    assert gpu.windows(side) == len(blending.layout(side, side, 64, 4, "window").places)
    assert gpu.two_passes(side) == len(blending.layout(side, side, 64, 4, "reference").places)
    assert (ENHANCERS[0].side, blending.MIX, ENHANCERS[0].kilomacs) == (
        gpu.SIDE,
        gpu.MIX,
        gpu.KILOMACS,
    )


@pytest.mark.parametrize("at", [0, 1])
def test_its_facts_of_super_resolution_are_the_servers(gpu: ModuleType, at: int) -> None:
    ours, network = gpu.UPSCALERS[at], by_name(EXPORTED[at])
    assert isinstance(network, Upscaler)
    (weights,) = network.weights
    assert weights.packaged is not None
    assert ours.files == (weights.file, Path(weights.packaged.member).name)
    facts = (network.name, network.kilomacs, network.receptive_field, network.parameters)
    parameters = sum(p.numel() for p in ours.net().parameters())
    assert (ours.name, ours.kilomacs, ours.receptive_field, parameters) == facts
    (first, *rest) = tiling.spans(1024, 512, network.receptive_field)
    assert gpu.Case(1024, 4, 1).window(ours.receptive_field) == first.stop - first.start
    assert len(rest) == 1
