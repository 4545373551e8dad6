"""Super-resolution networks of one's own: from a checkpoint that spandrel knows to a graph for
Triton, with everything that a row says measured.
"""

import copy
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from unittest import mock

import click
import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from sakuga_core import protocol
from sakuga_core.networks.families import CustomUpscaler
from sakuga_export.architectures.rrdb import RRDBNet
from sakuga_export.custom import checkpoint, receptive_field
from sakuga_export.custom.checkpoint import Descriptor, reason
from sakuga_export.custom.receptive_field import UnboundedReceptiveField
from sakuga_export.errors import ExportError
from sakuga_export.families import graph
from sakuga_export.families.graph import Array, Served, Session

Call = Callable[[nn.Module, Tensor], Tensor]

# Of tiles, where a network takes one size only: of what window attention divides a picture into (7,
# 8, 16, 32 or 64 pixels, mostly) a multiple, and of a cost that a CPU can bear.
SIDE = 128
# Sides at which a network may start to run, should spandrel not know that it needs them.
LEAST = (1, 8, 16, 32, 64)
TRACED_SIZE = (29, 37)  # odd, so that what a network pads is in the graph
TEST_SIZES = ((48, 32), (13, 65))
TOLERANCES = {np.dtype(np.uint8): 1, np.dtype(np.uint16): 64}  # levels; 257 of the latter are one


def place(row: CustomUpscaler, source: Path, target: Path) -> CustomUpscaler:
    """Loads, measures, exports and compares.

    Args:
        row: what is known without the weights; its architecture, scale, receptive field, multiple
        and side
            aren't looked at.
        source: see `checkpoint.load`.
        target: the ONNX file to write.

    Returns:
        The row, measured.

    Raises:
        ExportError: it can't be read, isn't a network that `upscale` can serve, or no export of it
            gives what torch gives.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's code, about itself
        net = Fitted(checkpoint.load(source))
        row = replace(row, architecture=net.descriptor.architecture.name, scale=net.scale)
        return _first_that_works(row, net, target)


def _first_that_works(row: CustomUpscaler, net: "Fitted", target: Path) -> CustomUpscaler:
    why = ""
    for candidate in _candidates(row, net):
        try:
            _export(candidate, net, target)
        except Exception as error:  # torch's, ONNX's and onnxruntime's have no class in common
            why = reason(error)
            continue
        return candidate
    raise ExportError(f"{row.name}: no export of this {row.architecture} works: {why}")


def _candidates(row: CustomUpscaler, net: "Fitted") -> Iterator[CustomUpscaler]:
    """Ways to serve a network, the best first."""
    try:
        found = measured(net)
        trims = found == net.trimmed
        free = replace(row, receptive_field=found, multiple=net.multiple, side=None, trims=trims)
        yield from (free, replace(free, batched=False))
        why = "no graph of free sizes does the same"
    except UnboundedReceptiveField as error:
        why = str(error)
    side = net.fitting(SIDE)
    click.echo(
        f"{row.name}: {why}. So it gets tiles of {side}x{side} pixels, which overlap and mix: not "
        "quite what it would make of a whole picture"
    )
    fixed = replace(row, receptive_field=0, multiple=1, side=side, trims=False)
    yield from (fixed, replace(fixed, batched=False))


def measured(net: "Fitted") -> int:
    """The receptive field of a network; see `receptive_field.measured`.

    Raises:
        UnboundedReceptiveField: it has no bound.
    """
    if net.descriptor.size_requirements.square:
        raise UnboundedReceptiveField("it takes squares only")
    # On spandrel's own: a network that works in strips does more than it has to on narrow pictures.
    call, model = net.descriptor._call_fn, copy.deepcopy(net.descriptor.model).double()

    def result(image: Tensor) -> Tensor:
        return net.by_channels(call, model, image)

    try:
        return receptive_field.measured(result, 3, net.scale, net.multiple, breadth=net.fitting(1))
    except RuntimeError as error:
        raise UnboundedReceptiveField(
            f"its receptive field can't be measured: {reason(error)}"
        ) from error


class Fitted(nn.Module):
    """A network for pictures of any size, whose sizes are what it asks for after padding: as
    spandrel pads, but in terms that a graph can have.

    Takes (B, 3, H, W) in [0, 1]; gives (B, 3, scale·H, scale·W). A network of one channel sees the
    three one by one.
    """

    def __init__(self, descriptor: Descriptor) -> None:
        super().__init__()
        self.descriptor = descriptor
        # spandrel's call takes the result out of what the model gives, where that is more.
        self.model: nn.Module = descriptor.model
        self.call: Call = descriptor._call_fn
        if (ours := rebuilt(descriptor)) is not None:
            self.model, self.call = ours, _plain
        self.scale: int = descriptor.scale
        self.channels: int = descriptor.input_channels
        self.multiple: int = descriptor.size_requirements.multiple_of
        self.minimum = self._minimum(descriptor.size_requirements.minimum)

    @property
    def trimmed(self) -> int | None:
        """Pixels of the input that a result lacks on inner sides; None: no input for them."""
        block = 4 // self.scale
        return self.rrdb.receptive_field * block if self.rrdb else None

    @property
    def rrdb(self) -> RRDBNet | None:
        """This project's own network in it."""
        return next((part for part in self.model.modules() if isinstance(part, RRDBNet)), None)

    def forward(self, image: Tensor, inner: Tensor | None = None) -> Tensor:
        if self.minimum <= 1 and self.multiple == 1:
            return self.result(image, inner)
        rows, columns = (self._positions(torch._shape_as_tensor(image)[axis]) for axis in (2, 3))
        result = self.result(image.index_select(2, rows).index_select(3, columns), inner)
        height, width = self._size(image, inner)
        return result[..., : height * self.scale, : width * self.scale]

    def _size(self, image: Tensor, inner: Tensor | None) -> tuple[Tensor, Tensor]:
        """Of what the result shows, in pixels of the input."""
        height, width = torch._shape_as_tensor(image)[2:].unbind()
        if inner is None:
            return height, width
        top, bottom, left, right = (torch._shape_as_tensor(inner)[1:] - 1).unbind()
        margin = self.trimmed or 0
        return height - (top + bottom) * margin, width - (left + right) * margin

    def result(self, image: Tensor, inner: Tensor | None = None) -> Tensor:
        """The same of a size that fits already."""
        if inner is not None:
            trimmed: Tensor = self.model(image, inner)
            return trimmed
        return self.by_channels(self.call, self.model, image)

    def by_channels(self, call: Call, model: nn.Module, image: Tensor) -> Tensor:
        if self.channels == 3:
            return call(model, image)
        return _joined(call(model, _one_by_one(image)))

    def _positions(self, length: Tensor) -> Tensor:
        """Of a length that fits, which pixel is where: mirrored beyond the last, without repeating
        it, once, and then always the first."""
        over = length.clamp(min=self.minimum) + self.multiple - 1
        size = torch.div(over, self.multiple, rounding_mode="floor") * self.multiple
        last = length - 1
        places: Tensor = torch.arange(size)  # type: ignore[call-overload]
        return (last - (places - last).abs()).clamp(min=0)

    def fitting(self, length: int) -> int:
        """The least length that fits, from `length` on."""
        return -(-max(length, self.minimum) // self.multiple) * self.multiple

    def _minimum(self, least: int) -> int:
        """The least side of a square that it runs on, from `least` on."""
        why = ""
        for minimum in (least, *(side for side in LEAST if side > least)):
            self.minimum = minimum
            try:
                self._run(self.fitting(1))
            except (RuntimeError, ValueError) as error:
                why = reason(error)
            else:
                return minimum
        raise ExportError(f"this {self.descriptor.architecture.name} doesn't run: {why}")

    def _run(self, side: int) -> None:
        with torch.inference_mode():
            found = tuple(self.result(torch.zeros(1, 3, side, side)).shape)
        if found != (1, 3, side * self.scale, side * self.scale):
            raise ValueError(f"it gives {found} for {side}x{side} pixels at scale {self.scale}")


def _plain(model: nn.Module, image: Tensor) -> Tensor:
    result: Tensor = model(image)
    return result


class Unshuffled(nn.Module):
    """A network of four times its input, which sees blocks of pixels as one of more channels."""

    def __init__(self, net: nn.Module, block: int) -> None:
        super().__init__()
        self.net, self.block = net, block

    def forward(self, image: Tensor, inner: Tensor | None = None) -> Tensor:
        result: Tensor = self.net(nn.functional.pixel_unshuffle(image, self.block), inner)
        return result


# spandrel's names of an RRDBNet's parameters, which are ESRGAN's own, and those of `RRDBNet`.
NAMES = {
    r"model\.0\.": "conv_first.",
    r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.": r"body.\1.rdb\2.conv\3.",
    r"model\.1\.sub\.\d+\.": "conv_body.",
    r"model\.3\.": "conv_up1.",
    r"model\.6\.": "conv_up2.",
    r"model\.8\.": "conv_hr.",
    r"model\.10\.": "conv_last.",
}


def rebuilt(descriptor: Descriptor) -> nn.Module | None:
    """Most networks that people trained are RRDBNets: this project's own takes a quarter of the
    memory. None where it isn't one that upscales twice by two."""
    if descriptor.architecture.id != "ESRGAN":
        return None
    state = {_renamed(name): value for name, value in descriptor.model.state_dict().items()}
    blocks = sum(name.endswith("rdb1.conv1.weight") for name in state)
    features, inputs = state["conv_first.weight"].shape[:2]
    net = RRDBNet(blocks, features, inputs=inputs)
    try:
        net.load_state_dict(state, strict=True)
    except RuntimeError:  # 1x1 convolutions, one channel, another scale
        return None
    block = 4 // descriptor.scale
    return (net if block == 1 else Unshuffled(net, block)).eval()


def _renamed(name: str) -> str:
    for theirs, ours in NAMES.items():
        if re.match(theirs, name):
            return re.sub(theirs, ours, name)
    return name


class Unpadded(nn.Module):
    """A network for pictures that fit already: where no size is free, more can be exported."""

    def __init__(self, net: Fitted) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        return self.net.result(image)


def _export(row: CustomUpscaler, net: Fitted, file: Path) -> None:
    _write(row, net, file)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # the exception says what failed
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    _compare(row, net, session)


def _write(row: CustomUpscaler, net: Fitted, file: Path) -> None:
    sides = TRACED_SIZE if row.side is None else (row.side, row.side)
    count = 2 if row.batched else 1
    example = {protocol.NET_IMAGE: torch.zeros(count, *sides, 3, dtype=torch.uint8)}
    if row.trims:
        example[protocol.NET_INNER] = graph.inner_example(count)
    axes = (graph.IMAGE_AXES, graph.RESULT_AXES, graph.INNER_AXES)
    image, result, inner = (_free(row, each) for each in axes)
    free = dict.fromkeys(graph.RESULTS, result)
    free |= {protocol.NET_IMAGE: image, protocol.NET_INNER: inner}
    served = Served(net if row.side is None else Unpadded(net))
    with mock.patch("torch._C._jit_onnx_log", create=True):  # it prints what can't be exported
        graph.write_onnx(served, example, free, file, str(row.weights[0].sha256))


def _free(row: CustomUpscaler, axes: Mapping[int, str]) -> dict[int, str]:
    """Of an image's axes, those that are free."""
    fixed = {0: not row.batched, 1: row.side is not None, 2: row.side is not None}
    return {axis: name for axis, name in axes.items() if not fixed.get(axis, False)}


def _compare(row: CustomUpscaler, net: Fitted, session: Session) -> None:
    """Holds the exported graph against the network as spandrel runs it."""
    for image in _pictures(row):
        expected = graph.bare(lambda pictures: reference(net.descriptor, pictures), image)
        found = graph.run_file(session, image)
        graph.check(row.name, found, expected, TOLERANCES[image.dtype])


def _pictures(row: CustomUpscaler) -> Iterator[Array]:
    for size in TEST_SIZES if row.side is None else ((row.side, row.side),):
        for image in graph.trial_pictures(*size):
            yield image if row.batched else image[:1]
    if row.side is None:
        yield np.full((1, 1, 1, 3), (200, 90, 10), np.uint8)


def reference(descriptor: Descriptor, pictures: Tensor) -> Tensor:
    """What spandrel makes of (B, 3, H, W) in [0, 1], picture by picture: the export's measure."""
    one = descriptor.input_channels == 1
    shown = _one_by_one(pictures) if one else pictures
    results = torch.cat([descriptor(picture[None]) for picture in shown])
    return _joined(results) if one else results


def _one_by_one(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) as (3·B, 1, H, W)…"""
    return pictures.flatten(0, 1).unsqueeze(1)


def _joined(channels: Tensor) -> Tensor:
    """…and back."""
    joined: Tensor = channels.squeeze(1).unflatten(0, (-1, 3))  # type: ignore[no-untyped-call]
    return joined
