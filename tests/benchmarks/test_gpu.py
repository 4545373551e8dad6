"""The GPU's benchmark takes every step on a CPU, too: with tiny tiles, so that it will where there
is a GPU."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from networks_for_tests import PROJECT
from slow import full

SCRIPT = PROJECT / "benchmarks" / "gpu.py"
sys.path.append(str(SCRIPT.parent))

import gpu  # noqa: E402
import gpu_networks  # noqa: E402
import gpu_plan  # noqa: E402

ABSENT = ("click", "cv2", "google.protobuf", "onnx", "onnxruntime", "pydantic", "yaml")
NAMES = [network.name for network in gpu_networks.NETWORKS]
# An upscaler in strips, an enhancer and a segmenter; of these none is compiled in a dry run.
OF_EACH_KIND = ["realesrgan-x4plus-anime", "aura-sr-v2", "isnet-anime"]
OFF = 3  # levels by which the half-precision exports of these tests are wrong
H100 = {"device": "NVIDIA H100 80GB HBM3"}


def exported(network: gpu_networks.Network, levels: int) -> onnx.ModelProto:
    """In the form of an export: each pixel four times, or the brightness; and some levels more."""
    others = "" if network.mask else ", uint8[b, 1, 1, 1, 1] INNER"
    others = ", uint8[b, 1] LETTERBOX" if network.name == "isnet-anime" else others
    if network.mask:
        result = "float[b, h, w] MASK"
        last = "MASK = ReduceMean <axes = [3], keepdims = 0> (unit)"
    else:
        result = "uint8[b, H, W, 3] RESULT"
        last = "large = Resize (more, , scales)  RESULT = Cast <to = 2> (large)"
    return onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["": 17]>
        network (uint8[b, h, w, 3] IMAGE{others}) => ({result})
        <float levels = {{{levels}}}, float most = {{255}}, float[4] scales = {{1, 4, 4, 1}}>
        {{
            samples = Cast <to = 1> (IMAGE)
            sum = Add (samples, levels)
            more = Min (sum, most)
            unit = Div (more, most)
            {last}
        }}
    """)


def write_repository(folder: Path) -> None:
    for network in gpu_networks.NETWORKS:
        version = folder / network.name.replace("-", "_") / "1"
        version.mkdir(parents=True)
        onnx.save(exported(network, 0), version / "model.onnx")
        onnx.save(exported(network, OFF), version / "model.fp16.onnx")


# Starts the script as a user would, with some of its networks alone.
START = f"""
import runpy, sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
import gpu_networks
names = sys.argv.pop(1).split(",")
gpu_networks.TINY = tuple(each for each in gpu_networks.TINY if each.name in names)
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""


@pytest.fixture(scope="module", params=[OF_EACH_KIND, full(NAMES)], ids=["of each kind", "all"])
def names(request: pytest.FixtureRequest) -> list[str]:
    """Networks that are measured."""
    return list(request.param)


@pytest.fixture(scope="module")
def results(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a dry run gives on generated weights."""
    folder = tmp_path_factory.mktemp("gpu")
    write_repository(folder / "repository")
    options = {"--out": folder, "--weights": folder, "--repository": folder / "repository"}
    command = [sys.executable, "-c", START, ",".join(names), "--dry-run"]
    command += [str(each) for option in options.items() for each in option]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def found(results: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((results / "gpu-dry-run.json").read_text())
    return found


@pytest.mark.parametrize("engine", [gpu_plan.EAGER, gpu_plan.CPU])
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_it_measures_every_network(
    found: dict[str, Any], names: list[str], engine: str, precision: str
) -> None:
    assert {row["network"] for row in found["rows"]} == set(names)
    for name in names:
        rows = [r for r in found["rows"] if (r["network"], r["engine"]) == (name, engine)]
        rows = [row for row in rows if row["precision"] == precision]
        assert rows
        assert all(row["failed"] == "" and row["against"] == "CPU" for row in rows)
        assert all(0 < row["milliseconds"] < float("inf") for row in rows)
        assert found["weights"][name] == "generated"


def test_it_measures_strips_and_torch_compile(found: dict[str, Any], names: list[str]) -> None:
    rows = {row["engine"]: row for row in found["rows"]}
    assert rows[gpu_plan.STRIPS]["failed"] == ""
    assert (gpu_plan.COMPILED in rows) == (names == NAMES)
    if gpu_plan.COMPILED in rows:
        has_compiler = shutil.which("g++") is not None
        assert (rows[gpu_plan.COMPILED]["failed"] == "") == has_compiler


def test_it_names_what_needs_a_gpu(found: dict[str, Any]) -> None:
    reasons = {each["engine"]: each["reason"] for each in found["left_out"]}
    assert reasons == {
        gpu_plan.GRAPH: "CUDA graphs need a GPU",
        gpu_plan.TENSORRT: "onnxruntime has no TensorrtExecutionProvider here",
    }


def test_half_precision_is_held_against_float32(found: dict[str, Any]) -> None:
    for row in found["rows"]:
        of_export = row["engine"] == gpu_plan.CPU and row["precision"] == "fp16"
        if of_export:
            assert row["levels"] == pytest.approx(OFF, abs=0.01)
        else:
            assert row["levels"] <= (2 if row["precision"] == "fp16" else 1)


def test_its_speeds_are_those_of_the_work_done(found: dict[str, Any]) -> None:
    tiny = {network.name: network for network in gpu_networks.TINY}
    for row in found["rows"]:
        operations = 2000 * tiny[row["network"]].kilomacs * row["side"] ** 2
        assert row["tflops"] == pytest.approx(operations * row["tiles"] / 1e12)
        assert row["share"] == pytest.approx(row["tflops"] / found["matrix_tflops"])
        assert row["tiles"] == pytest.approx(1000 * row["batch"] / row["milliseconds"])


def test_its_page_says_that_no_gpu_was_there(results: Path, found: dict[str, Any]) -> None:
    lines = (results / "gpu-dry-run.md").read_text().splitlines()
    assert "A dry run on a CPU: no GPU was measured" in " ".join(lines[:4])
    assert ("no GPU is there" in " ".join(lines[:7])) != torch.cuda.is_available()
    assert sum(line.startswith(("| torch", "| onnx")) for line in lines) == len(found["rows"])
    assert len({line.count("|") for line in lines if line.startswith("| ")}) == 1
    assert found["goals"] == []
    assert not (results / "gpu.md").exists()


def test_without_a_gpu_it_asks_for_a_dry_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main() == 1
    assert "--dry-run" in capsys.readouterr().err


def test_it_needs_torch_and_numpy_alone(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({ABSENT}));"
        f"sys.path.insert(0, {str(SCRIPT.parent)!r});"
        "import gpu, gpu_networks as n; from dataclasses import replace;"
        "gpu.TINY = (replace(n.TINY[2], shapes=((8, 1),), compiled=()),);"
        f"sys.argv = ['gpu.py', '--dry-run', '--server', '--out', {str(tmp_path)!r}];"
        "sys.exit(gpu.main())"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    found = json.loads((tmp_path / "gpu-dry-run.json").read_text())
    assert [(row["engine"], row["failed"]) for row in found["rows"]] == 2 * [("torch", "")]
    reasons = {each["engine"]: each["reason"] for each in found["left_out"]}
    assert reasons[gpu_plan.CPU] == reasons[gpu_plan.TENSORRT] == "onnxruntime isn't installed here"
    assert "the embedded server" in found["notes"][0]
