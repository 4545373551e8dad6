"""Super-resolution networks as Triton serves them: whole numbers in, whole numbers out."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from sakuga_core import protocol
from sakuga_export.errors import ExportError
from sakuga_export.output import mark

OPSET = 17
RESULTS = (protocol.NET_RESULT, protocol.NET_RESULT_16)

Array = npt.NDArray[Any]


IMAGE_AXES = {0: "batch", 1: "height", 2: "width", 3: "channels"}
RESULT_AXES = {0: "batch", 1: "result_height", 2: "result_width"}
INNER_AXES = {0: "batch", 1: "top", 2: "bottom", 3: "left", 4: "right"}
WHOLE: protocol.Inner = (False, False, False, False)


class Served(nn.Module):
    """A network with its arithmetic.

    Takes IMAGE, uint8 (B, H, W, 3), or (B, H, W, 6) for 16 bits, and INNER where the network takes
    it. Gives RESULT, uint8 (B, sH, sW, 3), and RESULT_16, int32 in 0…65535.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor, inner: Tensor | None = None) -> tuple[Tensor, Tensor]:
        inputs = () if inner is None else (inner,)
        return self.levels(self.net(self.samples(image), *inputs))

    def samples(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1]."""
        # High and low bytes. With three channels both slices are the same, and 257·v / 65535 is
        # exactly v / 255: 8 and 16 bits share one graph.
        # TensorRT has bytes at its ends alone, so casts come first here, and last in `levels`.
        values = image.float()
        samples = values[..., :3] * 256 + values[..., -3:]
        return (samples / 65535).permute(0, 3, 1, 2)

    def levels(self, result: Tensor) -> tuple[Tensor, Tensor]:
        """RESULT and RESULT_16 of (B, 3, sH, sW)."""
        result = result.clamp(0, 1).permute(0, 2, 3, 1)
        eight, sixteen = (result * 255).round(), (result * 65535).round()
        return eight.to(torch.uint8), sixteen.to(torch.int32)


def write_onnx(
    served: nn.Module,
    example: Mapping[str, Tensor],
    free_axes: Mapping[str, Mapping[int, str]],
    file: Path,
    origin: str = "",
    outputs: Sequence[str] = RESULTS,
) -> None:
    """Exports a served network.

    Args:
        example: the tensors that it takes, by name, in order.
        free_axes: of its tensors, those of any size, and what they are called.
        origin: see `output.origin_of`.
        outputs: the names of what it gives.
    """
    with warnings.catch_warnings(), torch.no_grad():
        # The tracer's warnings of what it can't follow: comparing shows it.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            served,
            tuple(example.values()),
            str(file),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(example),
            output_names=list(outputs),
            dynamic_axes=free_axes,
        )
    model = onnx.load(file)
    mark(model, origin)
    onnx.save(model, file)


def inner_example(count: int) -> Tensor:
    """INNER of so many whole pictures."""
    return torch.zeros(count, *protocol.inner_shape(WHOLE), dtype=torch.uint8)


def packed(image: Array) -> Array:
    """uint8 or uint16 (B, H, W, 3) as the networks take it."""
    if image.dtype == np.uint8:
        return image
    both: Array = np.concatenate((image >> 8, image & 255), axis=-1)
    return both.astype(np.uint8)


Check = Callable[[str, Array, Array], None]
"""Holds what a network of that name gives against what it has to; raises ExportError."""


def session(file: Path) -> "Session":
    """A file as onnxruntime runs it on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # exceptions say what failed
    found: Session = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])
    return found


class Session(Protocol):
    """Of onnxruntime, or what acts like one."""

    def get_inputs(self) -> list[Any]: ...

    def run(self, names: list[str], feed: Mapping[str, Array]) -> list[Array]: ...


def run_file(
    session: Session,
    image: Array,
    strength: float | None = None,
    inner: protocol.Inner = WHOLE,
) -> Array:
    """What an exported graph gives for uint8 or uint16 (B, H, W, 3)."""
    feed = {protocol.NET_IMAGE: packed(image)}
    if any(tensor.name == protocol.NET_INNER for tensor in session.get_inputs()):
        feed[protocol.NET_INNER] = np.zeros((len(image), *protocol.inner_shape(inner)), np.uint8)
    for tensor in session.get_inputs():
        if tensor.name == protocol.NET_MEANS:  # unknown: the image is a whole picture
            feed[tensor.name] = np.zeros((len(image), tensor.shape[1]), np.float32)
    if strength is not None:
        shape = (len(image), protocol.denoise_length(strength))
        feed[protocol.NET_DENOISE] = np.zeros(shape, np.uint8)
    (result,) = session.run([RESULTS[image.dtype == np.uint16]], feed)
    return np.asarray(result)


def bare(net: Callable[[Tensor], Tensor], image: Array) -> Array:
    """What torch gives for uint8 or uint16 (B, H, W, 3), as int64: the measure of an export."""
    most = int(np.iinfo(image.dtype).max)
    with torch.inference_mode():
        samples = torch.from_numpy(image.astype(np.float32) / np.float32(most))
        result = net(samples.permute(0, 3, 1, 2)).clamp(0, 1).permute(0, 2, 3, 1)
        return np.asarray((result * most).round().numpy().astype(np.int64))


class Trial(NamedTuple):
    """A picture, uint8 or uint16 (B, H, W, 3), and what torch gives for it, as int64."""

    image: Array
    expected: Array
    strength: float | None = None
    """Of denoising."""


def compare(
    name: str, trials: Sequence[Trial], check: Check, run: Callable[[Array, float | None], Array]
) -> None:
    """Holds an exported network against torch.

    Args:
        run: gives what it makes of a picture at a denoise strength.

    Raises:
        ExportError: what `check` says.
    """
    for image, expected, strength in trials:
        check(name, run(image, strength), expected)


# How far half precision may be off: most levels (of 255), and the least PSNR, which 8 bits are too
# coarse for.
HALF_LEVELS, HALF_DECIBELS = 2, 58.0


def check_half(
    name: str,
    found: Array,
    expected: Array,
    levels: float = HALF_LEVELS,
    decibels: float = HALF_DECIBELS,
) -> None:
    """
    Args:
        levels: most that a value may be off, of 255.
        decibels: the least PSNR, which 16 bits are compared by.

    Raises:
        ExportError: results in half precision, uint8 or int32 in 0…65535, are further off.
    """
    unit = 1 if found.dtype == np.uint8 else 257
    difference = (found.astype(np.int64) - expected) / unit
    off, ratio = float(np.abs(difference).max()), psnr(difference)
    if off > levels or (unit > 1 and ratio < decibels):
        raise ExportError(
            f"{name}: half precision differs by {off:.1f} levels, {ratio:.1f} dB; allowed: "
            f"{levels:g} levels and {decibels:g} dB"
        )


def psnr(difference: Array) -> float:
    """Of a difference in levels of 255, in decibels; infinite where there is none."""
    error = float(np.square(difference).mean())
    return 10 * math.log10(255**2 / error) if error else math.inf


def check(
    name: str, found: Array, expected: Array, tolerance: int, deep: int | None = None
) -> None:
    """
    Args:
        tolerance: most levels that a value may be off.
        deep: the same of results in 16 bits; left out, as many of their levels.

    Raises:
        ExportError: some value is further off.
    """
    off = int(np.abs(found.astype(np.int64) - expected).max())
    most = tolerance if deep is None or found.dtype == np.uint8 else deep
    if off > most:
        raise ExportError(f"{name}: the export differs from torch by {off} levels; allowed: {most}")


def trial_pictures(height: int, width: int) -> Iterator[Array]:
    """Two of noise, and one with structure, of 8 and of 16 bits: (B, height, width, 3)."""
    for dtype in (np.uint8, np.uint16):
        yield _noise((2, height, width, 3), dtype)
        yield _structure(height, width, dtype)


def _noise(shape: tuple[int, ...], dtype: type) -> Array:
    rng = np.random.default_rng(0)
    return np.asarray(rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True))


def _structure(height: int, width: int, dtype: type) -> Array:
    """A gradient, a flat field and hard lines."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    image = np.stack((x, y, np.full_like(x, 0.5)), axis=-1)
    image[height // 3 : height // 3 + 4, 5:35] = image[:, 11] = 0
    return np.asarray(image[None] * np.iinfo(dtype).max).astype(dtype)
