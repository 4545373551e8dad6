"""From a segmentation network as published, an ONNX file of one picture at a time, to one that
Triton batches: picture in, mask out, rembg's arithmetic inside.
"""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from sakuga_core import protocol
from sakuga_core.networks.families import HALF_FILE, Segmenter
from sakuga_export.architectures import isnet
from sakuga_export.errors import ExportError
from sakuga_export.families import half, rembg_arithmetic
from sakuga_export.output import atomically, mark

BATCHES = (slice(1), slice(4))
ONE_BY_ONE = (slice(0, 1), slice(1, 2))

# Most that a mask may differ from the original's, of a range of 1: a quarter of a level. rembg's
# float64 arithmetic done in float32 moves u2net's by 3e-6; a wrong conversion moves it by far more.
TOLERANCE = 1e-3

# The same in half precision. Drawings show its errors ten times as much as the pictures compared
# with here, hence so many layers in float32: of u2net's weights a twelfth, for 2 levels, not 4.
HALF_TOLERANCE = 2 / 255
HALF_BIASES = (4.0, 1.0)

Array = npt.NDArray[Any]


def convert(network: Segmenter, source: Path, target: Path, origin: str = "") -> None:
    """Converts and compares; `target` appears only if all of it went well.

    Args:
        network: what `source` has to be.
        source: the published ONNX file, or a checkpoint of the network's architecture.
        target: the file to write.
        origin: what it was made of, to be read by `output.origin_of`.

    Raises:
        ExportError: `source` isn't such a network, or can't be converted into the same function.
    """
    with tempfile.TemporaryDirectory() as folder:
        published = _published(network, source, Path(folder))
        with atomically(target) as file:
            model = served(network, onnx.load(published))
            mark(model, origin)
            onnx.save(model, file)
            trial = _Trial(network, published)
            trial.compare(file, TOLERANCE)
            if network.half:
                compare = partial(trial.compare, tolerance=HALF_TOLERANCE)
                half.write(file, target.with_name(HALF_FILE), compare, HALF_BIASES)


def _published(network: Segmenter, source: Path, folder: Path) -> Path:
    """The network in the published form: `source`, or what a checkpoint of it comes to."""
    if source.suffix == ".onnx":
        return source
    file = folder / f"{network.name}.onnx"
    try:
        isnet.write(isnet.load(source), file, network.side)
    except ValueError as error:
        raise ExportError(error.args[0]) from error
    return file


def served(network: Segmenter, published: onnx.ModelProto) -> onnx.ModelProto:
    """The network as Triton serves it.

    Takes IMAGE, uint8 (B, side, side, 3), and LETTERBOX, uint8 (B, 1), where the network has it.
    Gives MASK, float32 (B, side, side), the network's first output, or its sigmoid. B is 1 for a
    network that isn't batched.

    Raises:
        ExportError: `published` doesn't take one picture of that size, or can't be batched.
    """
    body = onnx.compose.add_prefix(_batched(network, published), "net/")
    (pixels,), (mask,) = ([value.name for value in end] for end in ends(body))
    parts = (rembg_arithmetic.prelude(network), rembg_arithmetic.tail(network))
    prelude, tail = (rembg_arithmetic.fitting(part, body).graph for part in parts)
    graph = onnx.compose.merge_graphs(prelude, body.graph, [("pixels", pixels)])
    graph = onnx.compose.merge_graphs(graph, tail, [(mask, "prediction")])
    model = onnx.helper.make_model(graph, opset_imports=body.opset_import, producer_name="sakuga")
    model.ir_version = body.ir_version
    onnx.checker.check_model(model)
    return model


def ends(model: onnx.ModelProto) -> tuple[list[Any], list[Any]]:
    """What a model takes, weights apart, and what it gives."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [i for i in model.graph.input if i.name not in weights], list(model.graph.output)


def _batched(network: Segmenter, published: onnx.ModelProto) -> onnx.ModelProto:
    """The network with any number of pictures, as far as it can, and its first output alone."""
    inputs, outputs = ends(published)
    shapes = [shape_of(value) for value in inputs]
    if len(shapes) != 1 or not _fits(shapes[0], [1, 3, network.side, network.side]):
        raise ExportError(
            f"{network.name} takes one picture of {network.side}x{network.side} pixels; "
            f"this file takes {shapes}"
        )
    model = onnx.ModelProto()
    model.CopyFrom(published)
    if network.batched:
        _free_sizes(network, model)
    model = onnx.utils.Extractor(model).extract_model([inputs[0].name], [outputs[0].name])
    del model.graph.value_info[:]  # they speak of one picture
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return model


def _fits(shape: list[int], picture: list[int]) -> bool:
    pairs = zip(shape, picture, strict=False)
    return len(shape) == len(picture) and all(found in (0, size) for found, size in pairs)


def shape_of(value: Any) -> list[int]:
    """Its sizes, 0 for each that isn't fixed."""
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _free_sizes(network: Segmenter, model: onnx.ModelProto) -> None:
    """Has every Resize that upscales to a fixed size, batch included, upscale by a ratio."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    shapes = {value.name: shape_of(value) for value in values}
    fixed = {tensor.name: tensor for tensor in model.graph.initializer}
    fixed |= {n.output[0]: n.attribute[0].t for n in model.graph.node if n.op_type == "Constant"}
    for node in model.graph.node:
        if node.op_type == "Resize" and len(node.input) == 4 and node.input[3] in fixed:
            sizes = onnx.numpy_helper.to_array(fixed[node.input[3]]).tolist()
            ratios = _ratios(network, node.name, shapes.get(node.input[0], []), sizes)
            scales = onnx.numpy_helper.from_array(ratios, f"{node.output[0]}/scales")
            model.graph.initializer.append(scales)
            node.input[:] = [node.input[0], node.input[1], scales.name]


def _ratios(network: Segmenter, node: str, shape: list[int], sizes: list[int]) -> Array:
    pairs = list(zip(shape, sizes, strict=False))
    if len(shape) != len(sizes) or any(before < 1 or after % before for before, after in pairs):
        raise ExportError(
            f"{network.name}: Resize {node!r} goes from {shape} to {sizes}: by no whole ratio"
        )
    return np.array([after // before for before, after in pairs], np.float32)


class _Trial:
    """Pictures, and what the published file gives for them, one by one."""

    def __init__(self, network: Segmenter, published: Path) -> None:
        self.network = network
        self.batches = BATCHES if network.batched else ONE_BY_ONE
        self.pictures = _pictures(network.side)[: self.batches[-1].stop]
        self.authors = np.array([0, 0, network.letterbox, network.letterbox])[: len(self.pictures)]
        original = onnxruntime.InferenceSession(published, providers=["CPUExecutionProvider"])
        pairs = zip(self.pictures, self.authors, strict=True)
        self.expected = np.stack([reference(network, original, p, bool(a)) for p, a in pairs])

    def compare(self, file: Path, tolerance: float) -> None:
        """Holds an export, in batches if it takes those, against them."""
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        for batch in self.batches:
            expected = self.expected[batch]
            pictures, authors = self.pictures[batch], self.authors[batch]
            found = _run_batch(self.network, session, pictures, authors)
            off = float(np.abs(found - expected).max())
            if not off <= tolerance:
                raise ExportError(
                    f"{self.network.name}: masks in batches of {len(expected)} differ from the "
                    f"original's by {off:.1e}; allowed: {tolerance:.0e}"
                )


def _run_batch(
    network: Segmenter, session: onnxruntime.InferenceSession, pictures: Array, authors: Array
) -> Array:
    try:
        return run_file(network, session, pictures, authors)
    except Exception as error:  # onnxruntime's errors have no class of their own in common
        raise ExportError(
            f"{network.name} can't take {len(pictures)} pictures at once: {error}"
        ) from error


def run_file(
    network: Segmenter,
    session: onnxruntime.InferenceSession,
    pictures: Array,
    authors: Array | None = None,
) -> Array:
    """What an exported graph gives for uint8 (B, side, side, 3), and B times 0 or 1."""
    feed = {protocol.NET_IMAGE: pictures}
    if network.letterbox:
        letterboxed = np.zeros(len(pictures)) if authors is None else authors
        feed[protocol.NET_LETTERBOX] = letterboxed.astype(np.uint8).reshape(-1, 1)
    (masks,) = session.run([protocol.NET_MASK], feed)
    return np.asarray(masks)


def reference(
    network: Segmenter,
    original: onnxruntime.InferenceSession,
    picture: Array,
    letterbox: bool = False,
) -> Array:
    """What the published file gives for uint8 (side, side, 3), (side, side): the export's measure.

    The arithmetic is `BaseSession.normalize` of rembg, or `get_mask` of SkyTNT/anime-segmentation.
    """
    samples = picture.astype(np.float64)
    if letterbox:
        samples /= 255
    else:
        samples = (samples / max(samples.max(), 1e-6) - network.mean) / network.std
    feed = {original.get_inputs()[0].name: samples.transpose(2, 0, 1)[None].astype(np.float32)}
    found = np.asarray(original.run(None, feed)[0][0, 0])
    if not network.logits:
        return found
    with np.errstate(over="ignore"):  # of the exponential: the sigmoid is 0 there
        return np.asarray(1 / (1 + np.exp(-found)))


def _pictures(side: int) -> Array:
    """Noise, a dark figure on a gradient, and each of them again, mirrored: (4, side, side, 3)."""
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    y, x = np.mgrid[0:side, 0:side] / side
    figure = np.stack((x, y, np.full_like(x, 0.5)), axis=-1) * 200  # its largest sample isn't 255
    figure[(x - 0.4) ** 2 + (y - 0.5) ** 2 < 0.06] = (20, 30, 90)
    pair = np.stack((noise, figure.astype(np.uint8)))
    return np.concatenate((pair, pair[:, :, ::-1]))
