"""AuraSR baked, against its own package, on a small network of the same class."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file

import reference
from networks_for_tests import AURA, SMALL_AURA
from pictures import off
from sakuga import Config
from sakuga_core.networks.families import Enhancer, Weights
from sakuga_core.networks.registry import ENHANCERS, configured
from sakuga_export import export
from sakuga_export.architectures import aura as architecture
from sakuga_export.errors import ExportError
from sakuga_export.families import enhancers, graph
from sakuga_export.fetch import FetchError
from sakuga_export.output import origin_of
from slow import full

(ROW,) = ENHANCERS
STYLE = architecture.style_vector(128, ROW.style)
TORCHSCRIPT = replace(ROW, backend="pytorch")


@pytest.fixture(scope="module", params=[ROW, TORCHSCRIPT], ids=["ONNX", "TorchScript"])
def exported(request: pytest.FixtureRequest, exported_aura: Callable[[Enhancer], Path]) -> Path:
    return exported_aura(request.param)


def noise(count: int, dtype: type = np.uint8) -> np.ndarray:
    random = np.random.default_rng(3)
    return random.integers(0, np.iinfo(dtype).max, (count, 64, 64, 3), dtype, endpoint=True)


def test_baked_equals_dynamic(aura: Path) -> None:
    tiles = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    theirs = reference.aura(aura).upsampler
    with reference.without_chance(STYLE):
        expected = theirs(lowres_image=tiles, noise=STYLE.repeat(2, 1))
        found = enhancers.load(ROW, aura)(tiles)
    assert expected.std() > 0.1
    assert (found - expected).abs().max() <= 1e-4


def test_with_chance_the_reference_differs_from_itself(aura: Path) -> None:
    tiles, theirs = torch.rand(1, 3, 64, 64), reference.aura(aura).upsampler
    with torch.no_grad():
        first, second = (theirs(lowres_image=tiles, noise=torch.randn(1, 128)) for _ in range(2))
    assert (first - second).abs().max() > 0.01


def test_the_row_counts_what_both_hold() -> None:
    with torch.device("meta"):
        published = reference.aura_sr().UnetUpsampler(**AURA)
        baked = architecture.AuraSR(architecture.Shape())
    assert sum(p.numel() for p in published.parameters()) == ROW.parameters
    assert sum(p.numel() for p in baked.parameters()) == ROW.baked_parameters <= 206e6


def test_the_row_counts_its_multiply_accumulates() -> None:
    total = 0

    def count(module: torch.nn.Module, _: object, result: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, torch.nn.Conv2d):
            total += result.numel() * module.weight[0].numel()
        else:
            assert isinstance(module, architecture.Attention)
            total += 2 * architecture.HEADS * architecture.HEAD * module.pixels**2

    with torch.device("meta"):
        net = architecture.AuraSR(architecture.Shape())
        for module in net.modules():
            if isinstance(module, torch.nn.Conv2d | architecture.Attention):
                module.register_forward_hook(count)
        net(torch.empty(1, 3, ROW.side, ROW.side))
    assert round(total / ROW.side**2 / 1000) == ROW.kilomacs


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_export_equals_the_reference(exported: Path, aura: Path, dtype: type) -> None:
    tiles, most = noise(2, dtype), np.iinfo(dtype).max
    theirs = reference.aura(aura).upsampler
    with reference.without_chance(STYLE):
        image = torch.from_numpy(tiles.astype(np.float32) / np.float32(most)).permute(0, 3, 1, 2)
        large = theirs(lowres_image=image, noise=STYLE.repeat(2, 1)).clamp(0, 1)
    expected = (large * most).round().permute(0, 2, 3, 1).numpy().astype(np.int64)
    # 1e-4 of 65535 levels.
    assert off(enhancers.runner(exported)(tiles).astype(np.int64), expected) <= 1 + 6


@pytest.mark.parametrize("size", [full(2), full(3), 8])
def test_every_batch_gives_the_same_bits(exported: Path, size: int) -> None:
    if exported.suffix == ".pt":
        pytest.skip("torch's kernels follow the size of the batch; the server runs item by item")
    tiles, session = noise(8, np.uint16), onnxruntime.InferenceSession(exported)
    alone = np.concatenate([graph.run_file(session, tile[None]) for tile in tiles])
    parts = [graph.run_file(session, tiles[at : at + size]) for at in range(0, 8, size)]
    assert np.array_equal(np.concatenate(parts), alone)


def test_the_style_is_selectable_and_changes_the_picture(aura: Path) -> None:
    config = Config()
    assert configured(ROW, config) == ROW
    config.aurasr.style, config.aurasr.backend = 7, "pytorch"
    other = configured(ROW, config)
    assert (other.style, other.file) == (7, "model.pt")
    results = [graph.bare(enhancers.load(row, aura), noise(1)) for row in (ROW, other)]
    assert off(*results) > 10


def test_a_style_is_drawn_alike_everywhere() -> None:
    assert STYLE.shape == (1, 128)
    assert np.allclose(STYLE[0, :3], [1.7640524, 0.4001572, 0.978738])


@pytest.mark.full
def test_another_style_is_another_export(aura: Path, tmp_path: Path) -> None:
    row = with_file(ROW, "aura/model.safetensors")
    folder, repository = aura.parent.parent, tmp_path / "repository"
    (tmp_path / "aura").symlink_to(folder / aura.parent.name, target_is_directory=True)
    assert export.export(row, repository, tmp_path)
    target = repository / row.folder / "1" / row.file
    first = origin_of(target)
    assert not export.export(row, repository, tmp_path)
    assert export.export(replace(row, style=1), repository, tmp_path)
    assert origin_of(target) != first


@pytest.mark.full
def test_another_backend_is_another_export(aura: Path, tmp_path: Path) -> None:
    row = with_file(ROW, "aura/model.safetensors")
    folder, repository = aura.parent.parent, tmp_path / "repository"
    (tmp_path / "aura").symlink_to(folder / aura.parent.name, target_is_directory=True)
    assert export.export(row, repository, tmp_path)
    scripted = replace(row, backend="pytorch")
    assert export.export(scripted, repository, tmp_path)
    assert not export.export(scripted, repository, tmp_path)


def with_file(row: Enhancer, file: str) -> Enhancer:
    return replace(row, weights=(Weights(file, "http://127.0.0.1:9/", None),))


def test_a_missing_download_is_one_line_with_the_place(tmp_path: Path) -> None:
    row = with_file(ROW, ROW.weights[0].file)
    with pytest.raises(FetchError) as caught:
        export.export(row, tmp_path / "repository", tmp_path / "weights")
    message = str(caught.value)
    assert str(tmp_path / "weights" / "aura-sr-v2" / "model.safetensors") in message
    assert "\n" not in message


def changed(aura: Path, folder: Path, **config: object) -> Path:
    """A copy of the checkpoint with another config.json."""
    copy = folder / aura.name
    copy.symlink_to(aura)
    copy.with_name("config.json").write_text(json.dumps(SMALL_AURA | config))
    return copy


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"dim": 16}, "size"),
        ({"image_size": 512}, "image_size is 512; allowed: 256"),
        ({"image_size": 512, "input_image_size": 128}, "128 pixels, not 64"),
        ({"num_conv_kernels": 2}, "num_conv_kernels, which isn't known"),
        ({"style_network": {}}, "lacks 'dim_in'"),
    ],
)
def test_another_configuration_is_refused(
    aura: Path, tmp_path: Path, config: dict[str, object], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        enhancers.load(ROW, changed(aura, tmp_path, **config))


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    save_file({"conv_first.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "model.safetensors")
    with pytest.raises(ExportError, match="isn't a checkpoint of aura-sr-v2"):
        enhancers.load(ROW, tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(ExportError, match="isn't a checkpoint of aura-sr-v2"):
        enhancers.load(ROW, tmp_path / "model.safetensors")


@pytest.mark.parametrize("change", ["lost", "added"])
def test_a_checkpoint_of_other_layers_is_refused(aura: Path, tmp_path: Path, change: str) -> None:
    state = load_file(aura)
    if change == "lost":
        del state["final_to_rgb.bias"]
    else:
        state["final_to_rgb.gain"] = torch.ones(1)
    copy = changed(aura, tmp_path)
    copy.unlink()
    save_file(state, copy)
    with pytest.raises(ExportError, match=r"final_to_rgb\.(bias|gain)"):
        enhancers.load(ROW, copy)
