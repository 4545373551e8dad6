"""The GPU's benchmark runs on a CPU, too: at small size, so that it will where there is a GPU."""

import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from networks_for_tests import PROJECT
from sakuga_export.networks import ENHANCERS
from sakuga_server.pipelines import blending

SCRIPT = PROJECT / "benchmarks" / "gpu.py"


def test_it_runs_and_writes_its_table(tmp_path: Path) -> None:
    options = ["--device", "cpu", "--small", "--out", str(tmp_path)]
    subprocess.run([sys.executable, str(SCRIPT), *options], check=True, capture_output=True)
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    kinds = [(row["network"], row["precision"]) for row in rows]
    assert kinds[:2] == [("baked", "fp32"), ("baked", "bf16")]
    assert all(0 < row["milliseconds"] < float("inf") for row in rows)
    assert rows[0]["error"] == 0 < rows[1]["error"] < 0.05
    assert (tmp_path / "gpu.md").read_text().count("\n| ") == len(rows) + 1


@pytest.mark.parametrize("side", [64, 96, 256, 1024])
def test_its_facts_are_the_servers(side: int) -> None:
    spec = spec_from_file_location("gpu", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    gpu = module_from_spec(spec)
    sys.modules["gpu"] = gpu
    spec.loader.exec_module(gpu)
    assert gpu.windows(side) == len(blending.layout(side, side, 64, 4, "window").places)
    assert gpu.two_passes(side) == len(blending.layout(side, side, 64, 4, "reference").places)
    assert (ENHANCERS[0].side, blending.MIX, ENHANCERS[0].kilomacs) == (
        gpu.SIDE,
        gpu.MIX,
        gpu.KILOMACS,
    )
