from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from networks_for_tests import generated_states
from pictures import off
from sakuga_core.networks.families import Upscaler, Weights
from sakuga_core.networks.registry import by_name
from sakuga_export import export
from sakuga_export.errors import ExportError
from sakuga_export.families import graph, upscalers
from sakuga_export.fetch import FetchError, sha256
from sakuga_export.output import ONNX

GENERAL = by_name("realesr-general-x4v3")


@dataclass(frozen=True)
class Published:
    """A network whose checkpoints lie in a folder, and the repository that it was exported to."""

    network: Upscaler
    folder: Path
    repository: Path

    @property
    def file(self) -> Path:
        return self.repository / self.network.folder / "1" / ONNX


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory, general_states: list[upscalers.State]
) -> Published:
    folder = tmp_path_factory.mktemp("export")
    network = with_files(GENERAL, general_states, folder)
    assert export.export(network, folder / "repository", folder)
    return Published(network, folder, folder / "repository")


@pytest.fixture(scope="module")
def exported(published: Published) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(published.file, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (1, 50, 31, 3), (3, 17, 20, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("strength", [0, 0.5, 1])
def test_the_export_interpolates_as_the_reference_does(
    exported: onnxruntime.InferenceSession,
    general_states: list[upscalers.State],
    shape: tuple[int, ...],
    dtype: type,
    strength: float,
) -> None:
    most = np.iinfo(dtype).max
    image = np.random.default_rng(3).integers(0, most, shape, dtype, endpoint=True)
    expected = upscalers.reference(GENERAL, general_states, image, strength)
    assert off(graph.run_file(exported, image, strength).astype(np.int64), expected) <= 1


def test_strengths_differ(exported: onnxruntime.InferenceSession) -> None:
    image = np.random.default_rng(3).integers(0, 255, (1, 30, 30, 3), np.uint8)
    results = [graph.run_file(exported, image, strength) for strength in (0, 0.5, 1)]
    assert off(results[0], results[1]) > 1
    assert off(results[1], results[2]) > 1


def test_8_bit_pictures_as_16_bit_ones_give_the_same(
    exported: onnxruntime.InferenceSession,
) -> None:
    image = np.random.default_rng(3).integers(0, 255, (1, 30, 30, 3), np.uint8)
    deep = graph.run_file(exported, image.astype(np.uint16) * 257, 0.5)
    shallow = graph.run_file(exported, image, 0.5)
    assert np.abs(deep / 257 - shallow).max() <= 0.5 + 1 / 257


def test_a_published_checkpoint_is_loaded_verified_and_served(published: Published) -> None:
    assert published.file.exists()
    assert not export.export(published.network, published.repository, published.folder)


def test_a_file_that_is_not_the_published_one_is_refused(
    tmp_path: Path, general_states: list[upscalers.State]
) -> None:
    network = with_files(GENERAL, general_states, tmp_path)
    file = tmp_path / network.weights[0].file
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(FetchError, match="another file"):
        export.export(network, tmp_path / "repository", tmp_path)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    other = generated_states(by_name("realesr-animevideov3")) * 2
    network = with_files(GENERAL, other, tmp_path)
    with pytest.raises(ExportError, match="isn't a checkpoint of realesr-general-x4v3"):
        export.export(network, tmp_path / "repository", tmp_path)
    assert not list(tmp_path.glob("repository/**/model.onnx"))


def test_an_export_that_differs_is_not_written(
    tmp_path: Path, general_states: list[upscalers.State], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*arguments: object) -> np.ndarray:
        return real(*arguments) + 2  # type: ignore[arg-type]

    real = upscalers.reference
    monkeypatch.setattr(upscalers, "reference", wrong)
    target = tmp_path / "1" / ONNX
    with pytest.raises(ExportError, match=r"differs from torch by [23] levels"):
        upscalers.convert(GENERAL, general_states, target)
    assert not target.exists()


def with_files(network: Upscaler, states: list[upscalers.State], folder: Path) -> Upscaler:
    """The network with checkpoints in `folder`, as Real-ESRGAN's files are built."""
    weights = []
    for row, state in zip(network.weights, states, strict=True):
        torch.save({"params": dict(state)}, folder / row.file)
        weights.append(Weights(row.file, "http://127.0.0.1:9/", sha256(folder / row.file)))
    return replace(network, weights=tuple(weights))
