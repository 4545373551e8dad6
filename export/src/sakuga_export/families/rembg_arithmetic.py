"""What rembg computes before and after a segmentation network, as parts of a graph."""

import onnx

from sakuga_core import protocol
from sakuga_core.networks.families import Segmenter

OPSET = 11


def prelude(network: Segmenter) -> onnx.ModelProto:
    """rembg's `normalize`, or the author's, by picture."""
    side, image, letterbox = network.side, protocol.NET_IMAGE, protocol.NET_LETTERBOX
    kind, number_of_kind = ("double", 11) if network.quantised else ("float", 1)
    inputs = f"uint8[batch, {side}, {side}, 3] {image}"
    number, letterboxed = "", "Constant <value = bool[1, 1] {0}> ()"
    if network.letterbox:
        inputs = f"{inputs}, uint8[batch, 1] {letterbox}"
        number, letterboxed = f"number = Cast <to = 1> ({letterbox})", "Cast <to = 9> (number)"
    return onnx.parser.parse_model(f"""
        <ir_version: 6, opset_import: ["": {OPSET}]>
        prelude ({inputs}) => (float[batch, 3, {side}, {side}] pixels)
        <
            int64[4] over_pixels = {{-1, 1, 1, 1}}, {kind} least = {{0.000001}},
            {kind} zero = {{0}}, {kind} one = {{1}}, {kind} most = {{255}},
            {kind}[3] mean = {{{_listed(network.mean)}}}, {kind}[3] std = {{{_listed(network.std)}}}
        >
        {{
            samples = Cast <to = {number_of_kind}> ({image})
            largest = ReduceMax <axes = [1, 2, 3]> (samples)
            unit = Max (largest, least)
            {number}
            letterboxed = {letterboxed}
            by_author = Reshape (letterboxed, over_pixels)
            divisor = Where (by_author, most, unit)
            centre = Where (by_author, zero, mean)
            spread = Where (by_author, one, std)
            scaled = Div (samples, divisor)
            centred = Sub (scaled, centre)
            normalised = Div (centred, spread)
            planes = Transpose <perm = [0, 3, 1, 2]> (normalised)
            pixels = Cast <to = 1> (planes)
        }}
    """)


def tail(network: Segmenter) -> onnx.ModelProto:
    """Channels away, and the sigmoid of logits: a mask as the network predicts it."""
    side = network.side
    sigmoid, values = "", "prediction"
    if network.logits:
        sigmoid, values = "probability = Sigmoid (prediction)", "probability"
    return onnx.parser.parse_model(f"""
        <ir_version: 6, opset_import: ["": {OPSET}]>
        tail (float[batch, 1, {side}, {side}] prediction)
            => (float[batch, {side}, {side}] {protocol.NET_MASK})
        <int64[3] without_channel = {{-1, {side}, {side}}}>
        {{
            {sigmoid}
            {protocol.NET_MASK} = Reshape ({values}, without_channel)
        }}
    """)


def _listed(numbers: tuple[float, ...]) -> str:
    return ", ".join(map(str, numbers))


def fitting(part: onnx.ModelProto, body: onnx.ModelProto) -> onnx.ModelProto:
    """`part` in the version of ONNX that `body` is written in."""
    (version,) = (o.version for o in body.opset_import if o.domain == "")
    return part if version == OPSET else onnx.version_converter.convert_version(part, version)
