"""AuraSR at its published size, 617,554,917 parameters, on generated weights: from the checkpoint
to the command. Minutes of work and 8 GB, so `make test-full` alone runs it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from PIL import Image

import reference
from networks_for_tests import AURA, generated_aura
from pictures import encoded, sample
from sakuga import Config
from sakuga_core.networks.registry import ENHANCERS
from sakuga_core.repository import writer
from sakuga_export import export
from sakuga_export.architectures.aura import style_vector
from sakuga_export.families import enhancers
from sakuga_server.runtime.embedded import run_triton

(ROW,) = ENHANCERS
SAKUGA = Path(sys.executable).with_name("sakuga")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "aura-sr-v2"
    folder.mkdir()
    return generated_aura(folder, AURA)


@pytest.mark.full
def test_baked_equals_dynamic(checkpoint: Path) -> None:
    tiles = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    style, theirs = style_vector(128, ROW.style), reference.aura(checkpoint).upsampler
    assert sum(p.numel() for p in theirs.parameters()) == ROW.parameters
    with reference.without_chance(style):
        expected = theirs(lowres_image=tiles, noise=style.repeat(2, 1))
        del theirs
        net = enhancers.load(ROW, checkpoint)
        found = net(tiles)
    assert sum(p.numel() for p in net.parameters()) == ROW.baked_parameters
    assert expected.std() > 0.1
    assert (found - expected).abs().max() <= 1e-4


@pytest.mark.full
@pytest.mark.parametrize("backend", ["onnxruntime", "pytorch"])
def test_the_command_upscales_4_times(checkpoint: Path, tmp_path: Path, backend: str) -> None:
    config = Config()
    config.aurasr.backend, config.server.repository = backend, tmp_path / "repository"
    writer.write(config.server.repository, config)
    row = replace(ROW, backend=backend)
    assert export.export(row, config.server.repository, checkpoint.parents[1])
    if backend == "onnxruntime":
        model = onnx.load(config.server.repository / row.folder / "1" / row.file)
        assert sum(len(t.raw_data) for t in model.graph.initializer) <= 4 * 206e6
    (tmp_path / "a.png").write_bytes(encoded(sample("heroine", (60, 100, 160, 220))))
    with run_triton(config) as server:
        command = [SAKUGA, "--url", server.url, "enhance", "a.png", "-o", "out.png"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "out.png").size == (400, 480)
