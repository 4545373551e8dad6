"""An RRDBNet in two parts, as OpenVINO runs it: the upscaling layers, which need most of the
memory, go over the features of the others strip by strip."""

from collections.abc import Callable, Mapping
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from sakuga_core import protocol
from sakuga_export.architectures.rrdb import RRDBNet
from sakuga_export.families import graph
from sakuga_export.families.graph import Array, Served, Session
from sakuga_export.output import atomically

FEATURE_AXES = {0: "batch", 2: "rows", 3: "columns"}


def convert(
    net: RRDBNet, folder: Path, compare: Callable[[Session], None], origin: str = ""
) -> None:
    """Folds `net`, exports it in two parts and has them compared.

    Args:
        net: with its weights.
        folder: where both files go, once all of it went well.
        compare: holds them against the network.
    """
    net.fold()
    with (
        atomically(folder / protocol.TAIL_FILE) as tail,
        atomically(folder / protocol.OPENVINO_FILE) as body,
    ):
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
        return self.levels(self.net.upscaled(features, inner))


def _write_body(net: RRDBNet, file: Path, origin: str) -> None:
    image = torch.zeros(2, 24, 20, 3, dtype=torch.uint8)
    example = {protocol.NET_IMAGE: image, protocol.NET_INNER: graph.inner_example(2)}
    free = {protocol.NET_IMAGE: graph.IMAGE_AXES, protocol.NET_INNER: graph.INNER_AXES}
    free[protocol.NET_FEATURES] = FEATURE_AXES
    graph.write_onnx(Body(net), example, free, file, origin, [protocol.NET_FEATURES])


def _write_tail(net: RRDBNet, file: Path, origin: str) -> None:
    features = torch.zeros(2, net.conv_body.out_channels, 24, 20)
    example = {protocol.NET_FEATURES: features, protocol.NET_INNER: graph.inner_example(2)}
    free = dict.fromkeys(graph.RESULTS, graph.RESULT_AXES)
    free |= {protocol.NET_FEATURES: FEATURE_AXES, protocol.NET_INNER: graph.INNER_AXES}
    graph.write_onnx(Tail(net), example, free, file, origin)


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
        (features,) = self.body.run([protocol.NET_FEATURES], feed)
        between = {protocol.NET_FEATURES: features, protocol.NET_INNER: feed[protocol.NET_INNER]}
        return list(self.tail.run(names, between))
