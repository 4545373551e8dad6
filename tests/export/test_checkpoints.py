"""Checkpoints of custom networks, and what their rows come to."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch

import third_party_networks
from sakuga import Config
from sakuga_core.networks.families import CustomUpscaler
from sakuga_core.repository import networks
from sakuga_export.custom import add, checkpoint
from sakuga_export.custom.add import CustomOptions
from sakuga_export.errors import ExportError
from sakuga_export.families import graph


@pytest.mark.parametrize(
    ("purpose", "what"), [("FaceSR", "restores faces"), ("Inpainting", "inpaints")]
)
def test_networks_for_something_else_are_refused(purpose: str, what: str) -> None:
    other = SimpleNamespace(
        architecture=SimpleNamespace(name="Other"),
        purpose=purpose,
        scale=8,
        input_channels=3,
        output_channels=3,
    )
    with pytest.raises(ExportError, match=what):
        checkpoint._refuse("other.pth", other)


def test_half_precision_is_taken_to_floats(tmp_path: Path) -> None:
    descriptor = checkpoint.load(
        third_party_networks.write_checkpoint("compact", tmp_path, half=True)
    )
    assert descriptor.dtype == torch.float32
    row = add.add(tmp_path / "compact.pth", CustomOptions(name="half"), tmp_path / "models")
    file = tmp_path / "models" / row.folder / "1" / row.file
    image = next(graph.trial_pictures(20, 40))
    expected = graph.bare(descriptor.model, image)
    found = graph.run_file(onnxruntime.InferenceSession(file), image)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_configs_follow_from_what_was_measured() -> None:
    row = CustomUpscaler(
        name="mine", title="", weights=(), licence="", architecture="X", scale=2, receptive_field=30
    )
    free = networks.custom_net(row, Config())
    assert free["input"][0]["dims"] == [-1, -1, -1]
    assert 1 < free["max_batch_size"] <= networks.LARGEST_BATCH
    fixed = CustomUpscaler(**{**vars(row), "side": 128, "batched": False})
    config = networks.custom_net(fixed, Config())
    assert config["input"][0]["dims"] == [128, 128, -1]
    assert config["output"][0]["dims"] == [256, 256, 3]
    assert config["max_batch_size"] == 1


def test_checking_imports_neither_torch_nor_spandrel() -> None:
    code = "import sys, sakuga_export.cli; sys.exit(bool({'torch', 'spandrel'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
