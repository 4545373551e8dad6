"""Custom segmentation networks: an ONNX file of one picture at a time, as rembg's are."""

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import onnx
import onnxruntime

from sakuga_core.networks.families import Segmenter
from sakuga_export.custom.checkpoint import reason
from sakuga_export.errors import ExportError
from sakuga_export.families import segmenters

FLOAT = onnx.TensorProto.FLOAT


def convert(row: Segmenter, source: Path, target: Path, side: int | None = None) -> Segmenter:
    """Reads, converts and compares.

    Args:
        row: what is known without the file; its side isn't looked at.
        source: an ONNX file that takes float32 (1, 3, side, side), and whose first output is a
            mask, (1, 1, side, side).
        target: the ONNX file to write.
        side: of the square that it sees, where the file doesn't fix it.

    Returns:
        The row with its side.

    Raises:
        ExportError: it isn't such a file, or can't be made one for batches.
    """
    row = replace(row, side=_side(source, side))
    _try(row, source)
    try:
        _convert(replace(row, half=True), source, target)
    except ExportError as error:
        _convert(row, source, target)
        click.echo(f"{row.name}: GPUs run it in float32; {reason(error)}")
        return row
    return replace(row, half=True)


def _convert(row: Segmenter, source: Path, target: Path) -> None:
    try:
        segmenters.convert(row, source, target, str(row.weights[0].sha256))
    except ExportError:
        raise
    except Exception as error:  # onnx's and onnxruntime's have no class in common
        raise ExportError(f"{source.name} can't be converted: {reason(error)}") from error


def _side(source: Path, side: int | None) -> int:
    """The side of the square that a file takes."""
    try:
        model = onnx.load(source)
        inputs, _ = segmenters.ends(model)
    except Exception as error:  # protobuf's, for anything that isn't ONNX
        raise ExportError(f"{source.name} isn't an ONNX file: {reason(error)}") from error
    shapes = [segmenters.shape_of(value) for value in inputs]
    if [len(shape) for shape in shapes] != [4] or shapes[0][1] not in (0, 3):
        raise _another(source, f"takes {shapes}")
    if inputs[0].type.tensor_type.elem_type != FLOAT:
        raise ExportError(f"{source.name} doesn't take float32, as a served network has to")
    fixed = {size for size in shapes[0][2:] if size} | ({side} if side else set())
    if not fixed:
        raise ExportError(f"{source.name} takes squares of any size; choose one with --side")
    if len(fixed) > 1:
        raise _another(source, f"takes {shapes[0]}, not squares of one size", side)
    return fixed.pop()


def _another(source: Path, what: str, side: int | None = None) -> ExportError:
    size = side or "S"
    return ExportError(
        f"{source.name} {what}; a segmentation network takes [1, 3, {size}, {size}] and gives "
        "one mask of that size (0 is any size)"
    )


def _try(row: Segmenter, source: Path) -> None:
    """
    Raises:
        ExportError: it doesn't run, or what it gives first isn't a mask.
    """
    options, side = onnxruntime.SessionOptions(), row.side
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(source, options, ["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: np.zeros((1, 3, side, side), np.float32)}
        shape = session.run(None, feed)[0].shape
    except Exception as error:  # onnxruntime's errors have no class of their own in common
        raise ExportError(f"{source.name} doesn't run at {side}: {reason(error)}") from error
    if shape != (1, 1, side, side):
        raise _another(source, f"gives {list(shape)}", side)
