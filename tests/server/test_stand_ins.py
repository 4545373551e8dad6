"""The stand-ins for Triton's backends, called as Triton's Python backend calls them."""

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch

SUM = """
    <ir_version: 8, opset_import: ["": 13]>
    sum (uint8[batch, height, width, 3] IMAGE, float[batch, 1] WEIGHT)
        => (float[batch, 1] SUM, uint8[batch, height, width, 3] SAME)
    <int64[3] axes = {1, 2, 3}, int64[2] shape = {-1, 1}>
    {
        pixels = Cast <to = 1> (IMAGE)
        whole = ReduceSum <keepdims = 0> (pixels, axes)
        column = Reshape (whole, shape)
        SUM = Mul (column, WEIGHT)
        SAME = Identity (IMAGE)
    }
"""


class Net(torch.nn.Module):
    def forward(
        self, image: torch.Tensor, weight: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return image.float().sum(dim=(1, 2, 3))[:, None] * weight, image


@dataclass
class Tensor:
    name: str
    values: np.ndarray

    def as_numpy(self) -> np.ndarray:
        return self.values

    def shape(self) -> tuple[int, ...]:
        return self.values.shape


class TritonError(str):
    INVALID_ARG = 3

    def __new__(cls, text: str, code: int | None = None) -> "TritonError":
        made = super().__new__(cls, text)
        made.code = code
        return made

    code: int | None


@dataclass
class Request:
    tensors: dict[str, np.ndarray]
    outputs: list[str] = field(default_factory=lambda: ["SUM", "SAME"])

    def requested_output_names(self) -> list[str]:
        return self.outputs

    def parameters(self) -> str:
        return ""

    def request_id(self) -> str:
        return "a1"


def written(kind: str, folder: Path) -> None:
    if kind == "onnxruntime":
        onnx.save(onnx.parser.parse_model(SUM), folder / "model.onnx")
    else:
        torch.jit.script(Net()).save(folder / "model.pt")


Model = Callable[[list[Request]], list[Any]]


@pytest.fixture(params=["onnxruntime", "pytorch"])
def model(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The backend's `execute`, of a network that has two inputs and two outputs. The module that
    only Triton's own process has is a stand-in itself."""
    pb = ModuleType("triton_python_backend_utils")
    parts = {
        "get_input_tensor_by_name": lambda each, name: Tensor(name, each.tensors[name]),
        "Tensor": Tensor,
        "TritonError": TritonError,
        "InferenceResponse": lambda output_tensors=(), error=None: SimpleNamespace(
            error=error, results={tensor.name: tensor.values for tensor in output_tensors}
        ),
        "Logger": SimpleNamespace(log_error=print, log_warn=print),
    }
    for name, part in parts.items():
        setattr(pb, name, part)
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", pb)
    for module in ("stand_in", f"{request.param}.model"):
        monkeypatch.delitem(sys.modules, f"sakuga_server.backends.{module}", raising=False)
    backend = importlib.import_module(f"sakuga_server.backends.{request.param}.model")
    monkeypatch.setattr(sys.modules["sakuga_server.backends.stand_in"], "end_with_parent", int)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "1").mkdir()
    written(request.param, tmp_path / "1")
    config = {
        "name": "net",
        "input": [{"name": "IMAGE"}, {"name": "WEIGHT"}],
        "output": [{"name": "SUM"}, {"name": "SAME"}],
        "parameters": {"image_pixels": {"string_value": "10000"}},
    }
    net = backend.TritonPythonModel()
    arguments = {"model_config": json.dumps(config), "model_repository": str(tmp_path)}
    net.initialize(arguments | {"model_version": "1", "model_instance_kind": "CPU"})
    execute: Model = net.execute
    return execute


@pytest.mark.parametrize(
    ("kind", "capability", "expected"),
    [
        ("CPU", "9.0", "model.onnx"),
        ("GPU", "9.0", "model.fp16.onnx"),
        ("GPU", "6.1", "model.onnx"),
        ("GPU", None, "model.onnx"),
    ],
)
@pytest.mark.usefixtures("model")
def test_the_file_is_chosen_by_compute_capability(
    monkeypatch: pytest.MonkeyPatch, kind: str, capability: str | None, expected: str
) -> None:
    stand_in = sys.modules["sakuga_server.backends.stand_in"]
    monkeypatch.setattr(stand_in.cuda, "compute_capability", lambda gpu: capability)
    config = {"cc_model_filenames": {"8.0": "other.onnx", "9.0": "model.fp16.onnx"}}
    config |= {"default_model_filename": "model.onnx", "parameters": {}, "input": []}
    arguments = {"model_config": json.dumps(config), "model_repository": "/r"}
    arguments |= {
        "model_version": "1",
        "model_instance_kind": kind,
        "model_instance_device_id": "0",
    }
    file, _, _ = stand_in.opened(arguments, "file")
    assert file == Path("/r/1") / expected


def batch(count: int, side: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (count, side, side, 3), np.uint8)
    return {"IMAGE": image, "WEIGHT": random.random((count, 1), np.float32)}


def expected(tensors: dict[str, np.ndarray]) -> np.ndarray:
    return tensors["IMAGE"].sum(axis=(1, 2, 3), dtype=np.float64)[:, None] * tensors["WEIGHT"]


@pytest.mark.parametrize("side", [8, 80])  # several items a call, and one
def test_requests_in_one_batch_get_their_own_rows(model: Model, side: int) -> None:
    requests = [Request(batch(count, side, count)) for count in (1, 3, 2)]
    for request, response in zip(requests, model(requests), strict=True):
        assert response.error is None
        assert np.allclose(response.results["SUM"], expected(request.tensors), rtol=1e-5)
        assert np.array_equal(response.results["SAME"], request.tensors["IMAGE"])


def test_each_gets_the_outputs_that_it_requests(model: Model) -> None:
    wanted = [["SUM"], ["SAME"], ["SAME", "SUM"]]
    responses = model([Request(batch(1, 8, 0), outputs) for outputs in wanted])
    assert [list(response.results) for response in responses] == wanted


def test_a_failure_is_everybodys_and_its_reason_stays_in_the_log(
    model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = batch(1, 8, 0) | {"WEIGHT": np.zeros((3, 7), np.float32)}
    responses = model([Request(batch(1, 8, 0)), Request(wrong)])
    assert all("the server's log has the reason" in response.error for response in responses)
    assert "(request a1)" in capsys.readouterr().out
    (answered,) = model([Request(batch(1, 8, 0))])
    assert answered.error is None


def test_an_image_larger_than_any_tile_is_refused_and_the_rest_of_the_batch_served(
    model: Model,
) -> None:
    weight = np.ones((1, 1), np.float32)
    large, small = (np.ones((1, side, 101, 3), np.uint8) for side in (100, 99))
    requests = [Request({"IMAGE": image, "WEIGHT": weight}) for image in (small, large, small)]
    first, refused, last = model(requests)
    assert refused.error == "TooLarge: IMAGE has 101x100 = 10100 pixels; allowed: 10000"
    assert refused.error.code == TritonError.INVALID_ARG
    for response in (first, last):
        np.testing.assert_array_equal(response.results["SUM"], [[99 * 101 * 3]])
