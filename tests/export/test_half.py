"""Half-precision graphs, on drawings: as onnxruntime runs them, and rounded as on a GPU."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from PIL import Image

from networks_for_tests import EXPORTED, PROJECT
from pictures import SAMPLES, off
from sakuga_core.networks.families import HALF_FILE, Enhancer, Segmenter
from sakuga_core.networks.registry import ENHANCERS, NETWORKS, SEGMENTERS, by_name
from sakuga_export.errors import ExportError
from sakuga_export.families import graph, half, segmenters
from sakuga_export.output import ONNX, origin_of
from slow import full

REPOSITORY = PROJECT / "model_repository"
DRAWINGS = ("heroine", "lineart", "mascot", "sunset")
U2NET = by_name("u2net")
# y = (x · 2 + bias) · 3.001, after a first layer that changes nothing.
BIASED = """
<ir_version: 8, opset_import: ["": 17]>
net (float[n, 1, 1, 1] X) => (float[n, 1, 1, 1] Y)
<
    float[1, 1, 1, 1] one = {1}, float[1, 1, 1, 1] two = {2}, float[1] bias = {BIAS},
    float[1, 1, 1, 1] three = {3.001}
>
{
    same = Conv (X, one)
    moved = Conv (same, two, bias)
    bent = Relu (moved)
    scaled = Conv (bent, three)
    Y = Identity (scaled)
}
"""


def folder(name: str) -> Path:
    return REPOSITORY / by_name(name).folder / "1"


def rgb(drawing: str) -> np.ndarray:
    return np.asarray(Image.open(next(SAMPLES.glob(f"{drawing}.*"))).convert("RGB"))


def simulated(file: Path, tmp_path: Path) -> Path:
    """What a GPU calculates, as a graph for CPUs."""
    target = tmp_path / "simulated.onnx"
    onnx.save(half.emulated(onnx.load(file)), target)
    return target


@pytest.fixture(params=["as it is", full("rounded")])
def ready(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Path], Path]:
    if request.param == "rounded":
        return lambda file: simulated(file, tmp_path)
    return lambda file: file


@pytest.mark.parametrize("name", EXPORTED)
def test_upscaled_drawings_are_within_2_levels_and_58_decibels(
    name: str, ready: Callable[[Path], Path]
) -> None:
    exact = graph.session(folder(name) / ONNX)
    rough = graph.session(ready(folder(name) / HALF_FILE))
    deep = np.stack([rgb(drawing)[100:148, 60:108] for drawing in DRAWINGS]).astype(np.uint16) * 257
    found, expected = (graph.run_file(each, deep) for each in (rough, exact))
    assert 0 < off(found, expected) <= 2 * 257
    assert graph.psnr((found - expected) / 257) >= 58


@pytest.mark.parametrize("drawings", [DRAWINGS[:1], full(DRAWINGS)], ids=["one", "all"])
def test_masks_of_drawings_are_within_2_levels(
    drawings: tuple[str, ...], ready: Callable[[Path], Path]
) -> None:
    assert isinstance(U2NET, Segmenter)
    squares = [
        cv2.resize(rgb(drawing), (U2NET.side,) * 2, interpolation=cv2.INTER_AREA)
        for drawing in drawings
    ]
    files = (ready(folder("u2net") / HALF_FILE), folder("u2net") / ONNX)
    found, expected = (
        segmenters.run_file(U2NET, graph.session(file), np.stack(squares)) for file in files
    )
    assert 0 < np.abs(found - expected).max() <= 2 / 255


@pytest.mark.parametrize("name", [*EXPORTED, "u2net"])
def test_nearly_all_weights_are_half_as_large(name: str) -> None:
    exact, rough = (folder(name) / file for file in (ONNX, HALF_FILE))
    assert rough.stat().st_size < 0.56 * exact.stat().st_size
    assert origin_of(rough) == origin_of(exact)


@pytest.mark.parametrize("name", [*EXPORTED, "u2net"])
def test_the_ends_are_those_of_the_graph_in_float32(name: str) -> None:
    exact, rough = (onnx.load(folder(name) / file).graph for file in (ONNX, HALF_FILE))
    assert list(rough.input) == list(exact.input)
    assert list(rough.output) == list(exact.output)


@pytest.mark.parametrize(
    "file", sorted(REPOSITORY.glob("*/1/model*.onnx")), ids=lambda file: file.parents[1].name
)
def test_bytes_are_at_the_ends_alone_as_tensorrt_wants_them(file: Path) -> None:
    graph = onnx.shape_inference.infer_shapes(onnx.load(file)).graph
    values = (*graph.input, *graph.output, *graph.value_info)
    kind = onnx.TensorProto.UINT8
    of_bytes = {v.name for v in values if v.type.tensor_type.elem_type == kind}
    assert of_bytes
    for node in graph.node:
        if of_bytes & {*node.input}:
            assert node.op_type in ("Cast", "Shape")
        if of_bytes & {*node.output}:
            assert node.op_type == "Cast"


def test_auras_tiles_are_within_a_hundredth(
    exported_aura: Callable[[Enhancer], Path], tmp_path: Path
) -> None:
    (row,) = ENHANCERS
    exact = exported_aura(row)
    rough = simulated(exact.with_name(HALF_FILE), tmp_path)
    tiles = np.stack([rgb(drawing)[100:164, 60:124] for drawing in DRAWINGS])
    found, expected = (
        graph.run_file(graph.session(file), tiles.astype(np.uint16) * 257)
        for file in (rough, exact)
    )
    assert np.abs(found - expected).max() <= 0.01 * 65535


def test_all_have_one_but_inpainting_networks_and_those_whose_masks_it_changes() -> None:
    without = {row.name for row in NETWORKS if not row.half} - {"migan", "lama-anime", "u2netp"}
    assert without == {row.name for row in SEGMENTERS if not row.tried}


def tiny(bias: float) -> onnx.ModelProto:
    model = onnx.parser.parse_model(BIASED.replace("BIAS", str(bias)))
    for number, node in enumerate(model.graph.node[:4]):
        node.name = f"/net/{number}"
    return model


def outputs(model: onnx.ModelProto, values: np.ndarray, folder: Path) -> np.ndarray:
    file = folder / "model.onnx"
    onnx.save(model, file)
    (found,) = graph.session(file).run(["Y"], {"X": values.reshape(-1, 1, 1, 1)})
    return found.reshape(-1)


def test_the_rounded_graph_gives_what_numpy_gives_in_float16(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random(100, np.float32)
    bias, three = np.float16(3.7), np.float16(3.001)
    found = outputs(half.emulated(half.converted(tiny(3.7))), x, tmp_path)
    seen = x.astype(np.float16).astype(np.float32)
    moved = (seen * 2 + np.float32(bias)).astype(np.float16).astype(np.float32)
    assert np.array_equal(found, (moved * np.float32(three)).astype(np.float16))


@pytest.mark.parametrize(("bias", "kept"), [(100.0, True), (10.0, False)])
def test_a_layer_with_a_large_bias_stays_in_float32(bias: float, kept: bool) -> None:
    model = half.converted(tiny(bias))
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert ("two" in kinds) == kept
    assert kinds["one"] == onnx.TensorProto.FLOAT  # the first layer's
    assert kinds["three/half"] == onnx.TensorProto.FLOAT16


def test_layers_are_kept_in_float32_until_the_comparison_passes(tmp_path: Path) -> None:
    exact, target = tmp_path / "exact.onnx", tmp_path / "1" / "half.onnx"
    onnx.save(tiny(10), exact)
    tried = []

    def compare(trial: Path) -> None:
        weights = {tensor.name for tensor in onnx.load(trial).graph.initializer}
        tried.append("two" in weights)
        if not tried[-1]:
            raise ExportError("too far off")

    half.write(exact, target, compare)
    assert tried == [False, False, True]
    assert "two" in {tensor.name for tensor in onnx.load(target).graph.initializer}


def test_what_no_choice_of_layers_helps_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    exact, target = tmp_path / "exact.onnx", tmp_path / "1" / "half.onnx"
    onnx.save(tiny(10), exact)

    def compare(trial: Path) -> None:
        raise ExportError("too far off")

    with pytest.raises(ExportError, match="too far off"):
        half.write(exact, target, compare)
    assert list(target.parent.iterdir()) == []


def test_results_that_are_further_off_are_told_in_levels_and_decibels() -> None:
    expected = np.zeros((1, 8, 8, 3), np.int64)
    found = expected.astype(np.uint8)
    graph.check_half("net", found + 2, expected)
    with pytest.raises(ExportError, match=r"net: half precision differs by 3\.0 levels, .*2 lev"):
        graph.check_half("net", found + 3, expected)
    noisy = np.random.default_rng(0).integers(-257, 257, expected.shape).astype(np.int32)
    with pytest.raises(ExportError, match=r"5\d\.\d dB; allowed: 2 levels and 58 dB"):
        graph.check_half("net", noisy, expected)
