"""From published inpainting networks to graphs for Triton."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import lama
from pictures import off, sample
from sakuga_core.networks.families import Inpainter
from sakuga_core.networks.registry import INPAINTERS, by_name
from sakuga_export.errors import ExportError
from sakuga_export.families import inpainters
from sakuga_export.fetch import FetchError, fetch
from sakuga_export.output import origin_of
from slow import full

LAMA, MIGAN = INPAINTERS


@pytest.fixture(scope="module")
def migan() -> Path:
    try:
        return fetch(MIGAN.weights[0]).path
    except FetchError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def exported(migan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("migan") / "model.onnx"
    inpainters.convert(MIGAN, migan, target, "origin")
    return target


def test_migan_inpaints_as_the_published_file_does(migan: Path, exported: Path) -> None:
    picture = np.ascontiguousarray(np.pad(sample("sunset"), ((0, 242), (0, 32), (0, 0)), "reflect"))
    hole = np.zeros((512, 512), np.uint8)
    hole[120:260, 180:330] = 1
    (found,) = inpainters.run_onnx(exported, picture[None], hole[None])
    expected = inpainters.run_published_migan(migan, picture, hole)
    assert off(found[136:244, 196:314], expected[136:244, 196:314]) <= 1
    assert np.abs(found[136:244, 196:314].astype(int) - picture[136:244, 196:314]).max() > 20


@pytest.fixture(scope="module")
def alone(exported: Path) -> np.ndarray:
    """The trial's picture, inpainted."""
    return inpainters.run_onnx(exported, *inpainters.trial(512))


@pytest.mark.parametrize("count", [2, full(3)])
def test_a_batch_is_inpainted_like_each_alone(
    exported: Path, alone: np.ndarray, count: int
) -> None:
    image, hole = inpainters.trial(512)
    images = np.concatenate((image, image[:, ::-1], image[:, :, ::-1])[:count])
    holes = np.concatenate((hole, hole[:, ::-1], hole[:, :, ::-1])[:count])
    together = inpainters.run_onnx(exported, images, holes)
    assert off(alone, together[:1]) <= 1
    for index in range(1, count):
        one = slice(index, index + 1)
        assert off(inpainters.run_onnx(exported, images[one], holes[one]), together[one]) <= 1


def test_what_lies_in_the_hole_makes_no_difference(exported: Path, alone: np.ndarray) -> None:
    image, hole = inpainters.trial(512)
    other = np.where(hole[..., None] == 1, np.uint8(77), image)
    assert off(inpainters.run_onnx(exported, other, hole), alone) == 0


def test_exports_are_marked_with_their_origin(exported: Path) -> None:
    assert origin_of(exported) == "origin"


def test_another_file_is_refused_and_nothing_written(tmp_path: Path) -> None:
    file = tmp_path / "other.onnx"
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", [value], [result])), file)
    with pytest.raises(ExportError, match="migan: this isn't the published file"):
        inpainters.convert(MIGAN, file, tmp_path / "model.onnx")
    with pytest.raises(ExportError, match="lama-anime: this isn't TorchScript"):
        inpainters.convert(LAMA, file, tmp_path / "model.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["other.onnx"]


def test_lama_has_the_shape_of_the_published_network() -> None:
    assert sum(p.numel() for p in lama.big().parameters()) == 50_975_875


@pytest.mark.parametrize("made", [lama.small, full(lama.big)], ids=["small", "published size"])
def test_lama_is_served_as_torchscript(made: Callable[[], lama.Lama], tmp_path: Path) -> None:
    """On generated weights: the published ones are at one address alone."""
    source, target = lama.write(made(), tmp_path), tmp_path / "model.pt"
    inpainters.convert(LAMA, source, target, "origin")
    assert origin_of(target) == "origin"
    image, hole = (array[:, :328, :200] for array in inpainters.trial(512))
    image, hole = np.ascontiguousarray(image), np.ascontiguousarray(hole)
    found = inpainters.run_torchscript(target, image, hole)
    expected = inpainters.bare_lama(torch.jit.load(source), image, hole)
    assert off(found.astype(np.int64), expected) <= 1
    assert off(found[hole == 0], image[hole == 0]) <= 1
    assert off(found[hole == 1], image[hole == 1]) > 20


def test_the_rows_name_what_there_is() -> None:
    assert isinstance(by_name("migan"), Inpainter)
    assert (MIGAN.file, LAMA.file) == ("model.onnx", "model.pt")
    assert LAMA.weights[0].md5 is not None
