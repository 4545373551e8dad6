"""Inpainting networks, as Triton serves them: picture and hole in, picture out."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from sakuga_core import protocol
from sakuga_core.networks.families import Inpainter
from sakuga_export.errors import ExportError
from sakuga_export.families.graph import Array, check
from sakuga_export.output import atomically, mark, mark_torchscript

OPSET = 17
# Of MI-GAN's published file: where its network begins and ends, between cutting a square around the
# hole and laying the result over the picture.
BEGIN, END = "/Concat_23_output_0", "/Clip_output_0"
# How far that file mixes picture and result around the hole's border, in pixels.
BLENDED = 16


def convert(network: Inpainter, source: Path, target: Path, origin: str = "") -> None:
    """Converts and compares; `target` appears only if all of it went well.

    Raises:
        ExportError: `source` isn't such a network, or its export inpaints otherwise.
    """
    convert = {"MI-GAN": _place_migan, "LaMa": _place_lama}[network.architecture]
    with atomically(target) as file:
        convert(network, source, file, origin)


def _place_migan(network: Inpainter, source: Path, file: Path, origin: str) -> None:
    model = served_migan(network, onnx.load(source))
    mark(model, origin)
    onnx.save(model, file)
    image, hole = trial(network.side)
    (found,) = run_onnx(file, image, hole)
    # The published file mixes the two around the border: they are alike inside the hole.
    inside = _eroded(hole[0], BLENDED)
    expected = run_published_migan(source, image[0], hole[0])
    check(network.name, found[inside], expected[inside].astype(np.int64), network.tolerance)


def served_migan(network: Inpainter, published: onnx.ModelProto) -> onnx.ModelProto:
    """The network alone, for batches.

    Takes IMAGE, uint8 (B, side, side, 3), and HOLE, uint8 (B, side, side), 1 in the hole. Gives
    RESULT, uint8 (B, side, side, 3).

    Raises:
        ExportError: `published` is another file.
    """
    side = network.side
    made = {name for node in published.graph.node for name in node.output}
    if not made >= {BEGIN, END}:
        raise ExportError(f"{network.name}: this isn't the published file: it has no {BEGIN}")
    model = onnx.ModelProto()
    model.CopyFrom(published)
    for name, channels in ((BEGIN, 4), (END, 3)):
        shape = ["batch", channels, side, side]
        value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        model.graph.value_info.append(value)
    body = onnx.utils.Extractor(model).extract_model([BEGIN], [END])
    body = onnx.compose.add_prefix(body, "net/")
    prelude, tail = _prelude(side), _tail(side)
    graph = onnx.compose.merge_graphs(prelude.graph, body.graph, [("features", f"net/{BEGIN}")])
    graph = onnx.compose.merge_graphs(graph, tail.graph, [(f"net/{END}", "levels")])
    whole = onnx.helper.make_model(graph, opset_imports=body.opset_import, producer_name="sakuga")
    whole.ir_version = body.ir_version
    onnx.checker.check_model(whole)
    return whole


def _prelude(side: int) -> onnx.ModelProto:
    """Its input: what is kept, about 0, and the picture in [-1, 1], 0 in the hole."""
    image, hole = protocol.NET_IMAGE, protocol.NET_HOLE
    return onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["": {OPSET}]>
        prelude (uint8[batch, {side}, {side}, 3] {image}, uint8[batch, {side}, {side}] {hole})
            => (float[batch, 4, {side}, {side}] features)
        <
            int64[1] channel = {{1}}, float one = {{1}}, float half = {{0.5}},
            float middle = {{127.5}}
        >
        {{
            samples = Cast <to = 1> ({image})
            scaled = Div (samples, middle)
            centred = Sub (scaled, one)
            pixels = Transpose <perm = [0, 3, 1, 2]> (centred)
            missing = Cast <to = 1> ({hole})
            plane = Unsqueeze (missing, channel)
            kept = Sub (one, plane)
            seen = Mul (pixels, kept)
            marked = Sub (kept, half)
            features = Concat <axis = 1> (marked, seen)
        }}
    """)


def _tail(side: int) -> onnx.ModelProto:
    return onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["": {OPSET}]>
        tail (float[batch, 3, {side}, {side}] levels)
            => (uint8[batch, {side}, {side}, 3] {protocol.NET_RESULT})
        {{
            rounded = Round (levels)
            turned = Transpose <perm = [0, 2, 3, 1]> (rounded)
            {protocol.NET_RESULT} = Cast <to = 2> (turned)
        }}
    """)


def run_onnx(file: Path, image: Array, hole: Array) -> Array:
    """What an exported file inpaints: uint8 (B, side, side, 3)."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    feed = {protocol.NET_IMAGE: image, protocol.NET_HOLE: hole}
    return np.asarray(session.run([protocol.NET_RESULT], feed)[0])


def run_published_migan(source: Path, image: Array, hole: Array) -> Array:
    """What the published file makes of uint8 (H, W, 3) and a hole (H, W), laid over the picture."""
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    feed = {"image": image.transpose(2, 0, 1)[None], "mask": 255 * (1 - hole)[None, None]}
    return np.asarray(session.run(None, feed)[0][0]).transpose(1, 2, 0)


class ServedLama(nn.Module):
    """LaMa with its arithmetic: tensors as MI-GAN has them, of sides that are multiples of 8."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor, hole: Tensor) -> Tensor:
        """RESULT of IMAGE and HOLE."""
        pixels = image.permute(0, 3, 1, 2).float() / 255
        result = self.net(pixels, (hole > 0).float().unsqueeze(1))
        levels: Tensor = (result.clamp(0, 1) * 255).round().to(torch.uint8)
        return levels.permute(0, 2, 3, 1).contiguous()


def _place_lama(network: Inpainter, source: Path, file: Path, origin: str) -> None:
    try:
        net = torch.jit.load(source, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise ExportError(f"{network.name}: this isn't TorchScript: {error}") from error
    served = torch.jit.script(ServedLama(net))
    torch.jit.save(served, file, _extra_files=mark_torchscript(origin))
    image, hole = trial(network.side)
    expected = bare_lama(net, image, hole)
    check(network.name, run_torchscript(file, image, hole), expected, network.tolerance)


def bare_lama(net: nn.Module, image: Array, hole: Array) -> Array:
    """What the published network gives for uint8 (B, H, W, 3) and holes, int64: the measure."""
    with torch.inference_mode():
        pixels = torch.from_numpy(image.astype(np.float32) / 255).permute(0, 3, 1, 2)
        result = net(pixels, torch.from_numpy(hole.astype(np.float32))[:, None])
    levels = np.rint(result.clamp(0, 1).permute(0, 2, 3, 1).numpy() * 255)
    return np.asarray(levels.astype(np.int64))


def run_torchscript(file: Path, image: Array, hole: Array) -> Array:
    """What an exported file inpaints: uint8 (B, H, W, 3)."""
    net = torch.jit.load(file)  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        return np.asarray(net(torch.from_numpy(image), torch.from_numpy(hole)))


def trial(side: int) -> tuple[Array, Array]:
    """A gradient under lines, uint8 (1, side, side, 3), and a round hole, (1, side, side)."""
    y, x = np.mgrid[0:side, 0:side] / side
    image = np.stack((x, y, 1 - x), axis=-1) * 255
    image[(((x + y) * side / 16).astype(int) % 8) == 0] = 20
    hole = ((x - 0.45) ** 2 + (y - 0.5) ** 2 < 0.03).astype(np.uint8)
    return image.astype(np.uint8)[None], hole[None]


def _eroded(hole: Array, by: int) -> Array:
    """bool (H, W): what of a hole is farther than `by` pixels from its border, along the axes."""
    inside = hole.astype(bool)
    for axis in (0, 1):
        shifted = [np.roll(inside, shift, axis) for shift in range(-by, by + 1)]
        inside = np.logical_and.reduce(shifted)
    return inside
