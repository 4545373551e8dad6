"""An RRDBNet in two parts, as OpenVINO runs it: the enlarging layers, which need most of the
memory, go over the features of the others strip by strip."""

from collections.abc import Callable, Mapping
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from sakuga import wire
from sakuga_export import serving
from sakuga_export.architectures.rrdb import RRDBNet
from sakuga_export.placing import placed
from sakuga_export.serving import Array, Served, Session

FEATURE_AXES = {0: "batch", 2: "rows", 3: "columns"}


def place(net: RRDBNet, folder: Path, compare: Callable[[Session], None], origin: str = "") -> None:
    """Folds `net`, exports it in two parts and has them compared.

    Args:
        net: with its weights.
        folder: where both files go, once all of it went well.
        compare: holds them against the network.
    """
    net.fold()
    with placed(folder / wire.TAIL_FILE) as tail, placed(folder / wire.OPENVINO_FILE) as body:
        _write_body(net, body, origin)
        _write_tail(net, tail, origin)
        compare(Chained(body, tail))


class Body(Served):
    """From IMAGE to the features."""

    def forward(self, image: Tensor, inner: Tensor | None = None) -> Tensor:  # type: ignore[override]
        assert isinstance(self.net, RRDBNet)
        return self.net.features(self.samples(image), inner)


class Tail(Served):
    """From there to the results."""

    def forward(self, features: Tensor, inner: Tensor | None = None) -> tuple[Tensor, Tensor]:
        assert isinstance(self.net, RRDBNet)
        return self.levels(self.net.enlarged(features, inner))


def _write_body(net: RRDBNet, file: Path, origin: str) -> None:
    image = torch.zeros(2, 24, 20, 3, dtype=torch.uint8)
    example = {wire.NET_IMAGE: image, wire.NET_INNER: serving.inner_example(2)}
    free = {wire.NET_IMAGE: serving.IMAGE_AXES, wire.NET_INNER: serving.INNER_AXES}
    free[wire.NET_FEATURES] = FEATURE_AXES
    serving.write_onnx(Body(net), example, free, file, origin, [wire.NET_FEATURES])


def _write_tail(net: RRDBNet, file: Path, origin: str) -> None:
    features = torch.zeros(2, net.conv_body.out_channels, 24, 20)
    example = {wire.NET_FEATURES: features, wire.NET_INNER: serving.inner_example(2)}
    free = dict.fromkeys(serving.RESULTS, serving.RESULT_AXES)
    free |= {wire.NET_FEATURES: FEATURE_AXES, wire.NET_INNER: serving.INNER_AXES}
    serving.write_onnx(Tail(net), example, free, file, origin)


class Chained:
    """Both parts, as one session."""

    def __init__(self, body: Path, tail: Path) -> None:
        self.body, self.tail = (
            onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
            for file in (body, tail)
        )

    def get_inputs(self) -> list[object]:
        return list(self.body.get_inputs())

    def run(self, names: list[str], feed: Mapping[str, Array]) -> list[Array]:
        (features,) = self.body.run([wire.NET_FEATURES], feed)
        between = {wire.NET_FEATURES: features, wire.NET_INNER: feed[wire.NET_INNER]}
        return list(self.tail.run(names, between))
