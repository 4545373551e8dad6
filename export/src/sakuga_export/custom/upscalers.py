"""Custom super-resolution networks: from a checkpoint that spandrel knows to a graph for
Triton, with everything that a row says measured.
"""

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from sakuga_core import protocol
from sakuga_core.networks.families import HALF_FILE, CustomUpscaler
from sakuga_export.custom import checkpoint, receptive_field
from sakuga_export.custom.checkpoint import Descriptor, reason
from sakuga_export.custom.fitted import Fitted, Unpadded, joined, one_by_one
from sakuga_export.custom.receptive_field import UnboundedReceptiveField
from sakuga_export.errors import ExportError
from sakuga_export.families import graph, half
from sakuga_export.families.graph import Array, Served, Trial

# Of tiles, where a network takes one size only: of what window attention divides a picture into (7,
# 8, 16, 32 or 64 pixels, mostly) a multiple, and of a cost that a CPU can bear.
SIDE = 128
TRACED_SIZE = (29, 37)  # odd, so that what a network pads is in the graph
TEST_SIZES = ((48, 32), (13, 65))
EIGHT_BITS_TOLERANCE, SIXTEEN_BITS_TOLERANCE = 1, 64  # levels; 257 of the latter are one


def convert(row: CustomUpscaler, source: Path, target: Path) -> CustomUpscaler:
    """Loads, measures, exports and compares.

    Args:
        row: what is known without the weights; its architecture, scale, receptive field, multiple
            and side aren't looked at.
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
        row = _first_that_works(row, net, target)
        return replace(row, half=_has_half(row, net, target))


def _has_half(row: CustomUpscaler, net: Fitted, file: Path) -> bool:
    """Whether half precision changes little enough; writes its graph then, beside `file`."""
    compare = partial(_compare, row.name, _trials(row, net), graph.check_half)
    try:
        half.write(file, file.with_name(HALF_FILE), compare)
    except Exception as error:  # onnx's and onnxruntime's have no class in common
        click.echo(f"{row.name}: GPUs run it in float32; {reason(error)}")
        return False
    return True


def _first_that_works(row: CustomUpscaler, net: Fitted, target: Path) -> CustomUpscaler:
    why = ""
    for candidate in _candidates(row, net):
        try:
            _export(candidate, net, target)
        except Exception as error:  # torch's, ONNX's and onnxruntime's have no class in common
            why = reason(error)
            continue
        return candidate
    raise ExportError(f"{row.name}: no export of this {row.architecture} works: {why}")


def _candidates(row: CustomUpscaler, net: Fitted) -> Iterator[CustomUpscaler]:
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


def measured(net: Fitted) -> int:
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


def _export(row: CustomUpscaler, net: Fitted, file: Path) -> None:
    _write(row, net, file)
    _compare(row.name, _trials(row, net), _check, file)


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
    with _silent():
        graph.write_onnx(served, example, free, file, str(row.weights[0].sha256))


@contextmanager
def _silent() -> Iterator[None]:
    """Without torch's own lines on what can't be exported, which the exception says, too."""
    log = torch._C._jit_onnx_log
    torch._C._jit_onnx_log = lambda *_: None
    try:
        yield
    finally:
        torch._C._jit_onnx_log = log


def _free(row: CustomUpscaler, axes: Mapping[int, str]) -> dict[int, str]:
    """Of an image's axes, those that are free."""
    fixed = {0: not row.batched, 1: row.side is not None, 2: row.side is not None}
    return {axis: name for axis, name in axes.items() if not fixed.get(axis, False)}


def _check(name: str, found: Array, expected: Array) -> None:
    eight = found.dtype == np.uint8
    graph.check(name, found, expected, EIGHT_BITS_TOLERANCE if eight else SIXTEEN_BITS_TOLERANCE)


def _compare(name: str, trials: list[Trial], check: graph.Check, file: Path) -> None:
    graph.compare(name, trials, check, partial(graph.run_file, graph.session(file)))


def _trials(row: CustomUpscaler, net: Fitted) -> list[Trial]:
    """Pictures, and what the network as spandrel runs it makes of them."""
    bare = partial(graph.bare, partial(reference, net.descriptor))
    return [Trial(image, bare(image)) for image in _pictures(row)]


def _pictures(row: CustomUpscaler) -> Iterator[Array]:
    for size in TEST_SIZES if row.side is None else ((row.side, row.side),):
        for image in graph.trial_pictures(*size):
            yield image if row.batched else image[:1]
    if row.side is None:
        yield np.full((1, 1, 1, 3), (200, 90, 10), np.uint8)


def reference(descriptor: Descriptor, pictures: Tensor) -> Tensor:
    """What spandrel makes of (B, 3, H, W) in [0, 1], picture by picture: the export's measure."""
    one = descriptor.input_channels == 1
    shown = one_by_one(pictures) if one else pictures
    results = torch.cat([descriptor(picture[None]) for picture in shown])
    return joined(results) if one else results
