"""Half-precision graphs for GPUs: an exported graph with its network's arithmetic in float16.

What stands around the network stays in float32: whole numbers come in and go out, and samples of 16
bits have more digits than float16. So do the parts of a network that rounding would show.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto

from sakuga_export.errors import ExportError
from sakuga_export.output import atomically

NETWORK = ("/net/", "net/")  # what the names of a network's nodes begin with, in every export
FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
DTYPES = {FLOAT: np.float32, HALF: np.float16}

# Inputs that are float32 whatever the others are, by operator.
FLOAT_INPUTS = {"Resize": {1, 2}}
CONVOLUTIONS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}

# Sums of residual branches, and their factors. Small changes are added to large values, block after
# block: with these in float16, single pixels of realesrgan-x4plus-anime are 8 levels off, not 2.5.
SUMS = {"Add", "Mul"}

# Where a normalisation was folded into a layer whose channel hardly varied in training, its bias is
# large (u2net has some over 200), and what follows takes it away again: float16 leaves steps of an
# eighth. Such layers stay in float32; if a network needs it, those with smaller biases, too.
LARGE_BIASES = (64.0, 16.0, 4.0, 1.0)

Compare = Callable[[Path], None]
"""Holds a file against what it has to equal.

Raises:
    ExportError: it gives something else.
"""


def write(
    exact: Path, target: Path, compare: Compare, biases: Sequence[float] = LARGE_BIASES
) -> None:
    """Writes the half-precision twin of an exported graph.

    Args:
        exact: the graph in float32.
        target: the file to write.
        compare: is given a graph that a CPU can run; see `emulated`.
        biases: those over which layers stay in float32, to be tried in order.

    Raises:
        ExportError: what `compare` says, if no choice of layers in float32 helps.
    """
    original = onnx.load(exact)
    with atomically(target) as file:
        trial = file.with_name("trial.onnx")
        for bias in biases:
            model = converted(original, bias)
            onnx.save(emulated(model), trial)
            try:
                compare(trial)
                break
            except ExportError:
                if bias == biases[-1]:
                    raise
        onnx.save(model, file)


def converted(model: ModelProto, bias: float = LARGE_BIASES[0]) -> ModelProto:
    """The same graph, its network in float16, but for sums, the first layers, and those with biases
    over `bias`."""
    return _Conversion(model, _first_layers(model) | _biased_layers(model, bias)).model


class _Conversion:
    """Takes nodes in their order, and casts tensors that go from one precision to the other."""

    def __init__(self, model: ModelProto, exact: set[str]) -> None:
        self.model = ModelProto()
        self.model.CopyFrom(model)
        graph = self.model.graph
        del graph.value_info[:]  # they tell the old precisions
        self.floats = of_type(model, FLOAT)
        self.constants = _constants(graph)
        self.halves: set[str] = set()
        self.others: set[str] = set()  # tensors in the other precision than they were given in
        self.nodes: list[NodeProto] = []
        given = {value.name for value in graph.output}
        for node in graph.node:
            of_network = node.name.startswith(NETWORK) and not given & {*node.output}
            float32 = node.op_type in SUMS or node.name in exact
            self._take(node, of_network and not float32)
        _replace(graph.node, self.nodes)
        _drop_unused(graph)

    def _take(self, node: NodeProto, half: bool) -> None:
        if node.op_type != "Constant":
            kept = FLOAT_INPUTS.get(node.op_type, set())
            for place, name in enumerate(node.input):
                if name in self.floats:
                    node.input[place] = self._as(name, half and place not in kept)
            if half:
                node = _retyped(node, FLOAT, HALF)
                self.halves |= self.floats & {*node.output}
        self.nodes.append(node)

    def _as(self, name: str, half: bool) -> str:
        """The name of a tensor in a precision."""
        if half == (name in self.halves):
            return name
        other = f"{name}/{'half' if half else 'float'}"
        if other not in self.others:
            self.others.add(other)
            if name in self.constants:
                values = _values(self.constants[name]).astype(np.float16)
                self.model.graph.initializer.append(_tensor(values, other))
            else:
                self.nodes.append(_cast(name, other, HALF if half else FLOAT))
        return other


def _first_layers(model: ModelProto) -> set[str]:
    """The names of the layers that see the input itself, and of what prepares it for them. They
    cost next to nothing, and float16 can't tell all levels of an image apart."""
    seen = {value.name for value in model.graph.input}
    found: set[str] = set()
    for node in model.graph.node:
        if seen & {*node.input[:1]} and node.op_type != "Shape":
            found.add(node.name)
            if node.op_type not in CONVOLUTIONS:
                seen |= {*node.output}
    return found


def _biased_layers(model: ModelProto, least: float) -> set[str]:
    """The names of layers with biases over `least`, and of what follows up to the next layers."""
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found: set[str] = set()
    constants = _constants(model.graph)
    after = [node for node in model.graph.node if _bias(node, constants) > least]
    while after:
        node = after.pop()
        found.add(node.name)
        following = (each for name in node.output for each in readers.get(name, []))
        after += [n for n in following if n.op_type not in CONVOLUTIONS and n.name not in found]
    return found


def _bias(node: NodeProto, constants: dict[str, TensorProto]) -> float:
    """The largest bias of a layer."""
    if node.op_type not in CONVOLUTIONS or len(node.input) < 3 or node.input[2] not in constants:
        return 0.0
    return float(np.abs(_values(constants[node.input[2]])).max())


def emulated(model: ModelProto) -> ModelProto:
    """A half-precision graph for CPUs without such arithmetic: each node calculates in float32, and
    its results are rounded to float16, as on a GPU.

    onnxruntime does the same with the graph itself, but leaves out the roundings between nodes.
    """
    halves = of_type(model, HALF)
    emulation = ModelProto()
    emulation.CopyFrom(model)
    for tensor in emulation.graph.initializer:
        if tensor.data_type == HALF:
            tensor.CopyFrom(_tensor(_values(tensor).astype(np.float32), tensor.name))
    nodes = [each for node in model.graph.node for each in _rounded(node, halves)]
    _replace(emulation.graph.node, nodes)
    return emulation


def _rounded(node: NodeProto, halves: set[str]) -> Iterator[NodeProto]:
    """A node, and the rounding of what it gives in float16."""
    node = _retyped(node, HALF, FLOAT)
    rounded = [name for name in node.output if name in halves]
    node.output[:] = [f"{name}/exact" if name in halves else name for name in node.output]
    yield node
    for name in rounded:
        yield _cast(f"{name}/exact", f"{name}/short", HALF)
        yield _cast(f"{name}/short", name, FLOAT)


def _retyped(node: NodeProto, old: int, new: int) -> NodeProto:
    """A node that itself names a precision, with the other one."""
    result = NodeProto()
    result.CopyFrom(node)
    for attribute in result.attribute:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == old:
            attribute.i = new
        if attribute.type == AttributeProto.TENSOR and attribute.t.data_type == old:
            attribute.t.CopyFrom(_tensor(_values(attribute.t).astype(DTYPES[new])))
    return result


def _cast(name: str, result: str, kind: int) -> NodeProto:
    return onnx.helper.make_node("Cast", [name], [result], to=kind)


def of_type(model: ModelProto, kind: int) -> set[str]:
    """The names of all tensors of a type."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    found = {value.name for value in values if value.type.tensor_type.elem_type == kind}
    return found | {name for name, t in _constants(graph).items() if t.data_type == kind}


def _constants(graph: onnx.GraphProto) -> dict[str, TensorProto]:
    """Weights and other constants, by name."""
    nodes = (node for node in graph.node if node.op_type == "Constant")
    found = {n.output[0]: n.attribute[0].t for n in nodes if n.attribute[0].name == "value"}
    return found | {tensor.name: tensor for tensor in graph.initializer}


def _replace(nodes: "onnx.NodeListProto", others: Iterable[NodeProto]) -> None:
    kept = list(others)
    del nodes[:]
    nodes.extend(kept)


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Drops constants that are there in another precision now."""
    read = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    needed = (n for n in graph.node if n.op_type != "Constant" or n.output[0] in read)
    _replace(graph.node, needed)


def _values(tensor: TensorProto) -> npt.NDArray[np.generic]:
    return np.asarray(onnx.numpy_helper.to_array(tensor))


def _tensor(values: npt.NDArray[np.generic], name: str = "") -> TensorProto:
    return onnx.numpy_helper.from_array(values, name)
