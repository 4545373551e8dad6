"""Networks of convolutions without padding: each layer sees less than the one before, so a border
is put around the picture first. (nagadomi's waifu2x, and what descends from it.)"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, negative_slope=0.1)


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=3)


@dataclass(frozen=True)
class Border:
    """What a network takes beside the picture, in pixels of the input."""

    width: int
    """What its layers lose on every side."""
    step: int = 1
    """A picture's sides are made multiples of it, at the bottom and on the right."""
    reflects: bool = False
    """Whether the border mirrors the picture, as Real-CUGAN has it, or repeats its last pixel."""

    @property
    def padding(self) -> int:
        """What a window of a picture needs on inner sides, so that it begins at a multiple of
        `step`, as the picture does."""
        return -(-self.width // self.step) * self.step


@dataclass(frozen=True)
class Axis:
    """One axis of a window, each number a tensor without axes, so that tracing keeps it free."""

    length: Tensor
    """Of the window."""
    first: Tensor
    """1 where it begins inside of the picture, 0 at the picture's border."""
    last: Tensor
    """The same of its end."""

    def result(self, border: Border) -> Tensor:
        """How many of its pixels the network gives a result of."""
        return self.length - border.padding * (self.first + self.last)

    def seen(self, border: Border) -> Tensor:
        """The pixels that the network sees, by their indices in the window."""
        fill = -self.result(border) % border.step
        start = self.first * border.padding - border.width
        stop = self.length + border.width + fill - self.last * border.padding
        index = torch.arange(stop - start) + start  # type: ignore[call-overload]
        if border.reflects:
            end = self.length - 1
            index = end - (end - index.abs()).abs()
        # Also what a border wider than the picture mirrors beyond its other side.
        return torch.minimum(index.clamp(min=0), self.length - 1)


def axes(x: Tensor, inner: Tensor | None) -> tuple[Axis, Axis]:
    """Rows and columns of a window, (B, C, H, W), whose inner sides `inner` tells; see
    `protocol.inner_shape`."""
    height, width = torch._shape_as_tensor(x)[2:].unbind()
    if inner is None:
        return (Axis(height, height * 0, height * 0), Axis(width, width * 0, width * 0))
    top, bottom, left, right = (torch._shape_as_tensor(inner)[1:] - 1).unbind()
    return Axis(height, top, bottom), Axis(width, left, right)


class Bordered(nn.Module):
    """What such networks share: (B, 3, H, W) in [0, 1] to (B, 3, scale·H, scale·W), not clamped.

    Results of windows lack `receptive_field` pixels of the input on inner sides. Windows begin at
    multiples of `step`, counted from where their results begin.
    """

    def __init__(self, border: Border, scale: int) -> None:
        super().__init__()
        self.border, self.scale = border, scale
        self.receptive_field, self.multiple = border.padding, border.step

    def seen(self, x: Tensor, inner: Tensor | None) -> Tensor:
        """A window with its border, and without what inner sides have too much."""
        rows, columns = axes(x, inner)
        x = x.index_select(2, rows.seen(self.border))
        return x.index_select(3, columns.seen(self.border))

    def cut(self, result: Tensor, x: Tensor, inner: Tensor | None) -> Tensor:
        """The layers' result without what only fills a multiple."""
        rows, columns = (self.scale * axis.result(self.border) for axis in axes(x, inner))
        return result[:, :, :rows, :columns]
