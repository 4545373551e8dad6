"""Custom networks as `upscale` needs them: for pictures of any size, with three channels."""

import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sakuga_export.architectures.rrdb import RRDBNet
from sakuga_export.custom.checkpoint import Descriptor, reason
from sakuga_export.errors import ExportError

Call = Callable[[nn.Module, Tensor], Tensor]

# Sides at which a network may start to run, should spandrel not know that it needs them.
LEAST = (1, 8, 16, 32, 64)


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
        return joined(call(model, one_by_one(image)))

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


def one_by_one(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) as (3·B, 1, H, W)…"""
    return pictures.flatten(0, 1).unsqueeze(1)


def joined(channels: Tensor) -> Tensor:
    """…and back."""
    result: Tensor = channels.squeeze(1).unflatten(0, (-1, 3))  # type: ignore[no-untyped-call]
    return result
