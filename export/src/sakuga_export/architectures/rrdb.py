"""RRDBNet, the generator of ESRGAN and Real-ESRGAN (Wang et al. 2018 and 2021).

Parameter names are those of the published checkpoints, so `load_state_dict(strict=True)` takes
them as they are.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)


def leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, negative_slope=0.2)


class ResidualDenseBlock(nn.Module):
    """Five convolutions, each seeing the outputs of all before it."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(features, growth)
        self.conv2 = conv3x3(features + growth, growth)
        self.conv3 = conv3x3(features + 2 * growth, growth)
        self.conv4 = conv3x3(features + 3 * growth, growth)
        self.conv5 = conv3x3(features + 4 * growth, features)

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat((seen, leaky(conv(seen))), dim=1)
        residual: Tensor = self.conv5(seen)
        return residual * 0.2 + x


class RRDB(nn.Module):
    """A residual of three residual dense blocks."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = ResidualDenseBlock(features, growth)
        self.rdb2 = ResidualDenseBlock(features, growth)
        self.rdb3 = ResidualDenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.rdb3(self.rdb2(self.rdb1(x)))
        return residual * 0.2 + x


# How far an RRDB sees, and how far all other layers together see, in pixels of the input: two 3x3s
# at its own size, and those at twice and four times of it.
BLOCK_RADIUS = 15
OTHER_RADIUS = 4

# The upscaling layers hold 64 channels at 16 times the pixels: most of the network's memory. They
# see only TAIL_PADDING rows around each row, so they run on strips, one after another, and the
# result is the same. On a 700x700 picture onnxruntime's peak falls from 11.0 GB to 2.9 GB, and the
# time, too.
TAIL_PADDING = 2  # as in `protocol`, without which benchmarks/gpu.py takes this file
STRIPS = 8


class RRDBNet(nn.Module):
    """4x super-resolution: (B, 3, H, W) in [0, 1] to (B, 3, 4H, 4W), not clamped.

    The receptive field reaches `receptive_field` pixels of the input to every side. In a window of
    a picture, that much of the result is wrong on every side that lies inside of the picture.
    `inner` says by its shape which these are, see `protocol.inner_shape`: there the result lacks
    the padding, and what can't come right any more is dropped as early as that is known, block by
    block.
    """

    def __init__(self, blocks: int, features: int = 64, growth: int = 32, inputs: int = 3) -> None:
        super().__init__()
        self.strips = STRIPS
        self.receptive_field = BLOCK_RADIUS * blocks + OTHER_RADIUS
        self.conv_first = conv3x3(inputs, features)
        self.body = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        self.conv_body = conv3x3(features, features)
        self.conv_up1: nn.Module = conv3x3(features, features)
        self.conv_up2: nn.Module = conv3x3(features, features)
        self.conv_hr = conv3x3(features, features)
        self.conv_last = conv3x3(features, 3)

    def forward(self, x: Tensor, inner: Tensor | None = None) -> Tensor:
        return self.upscaled(self.features(x, inner), inner)

    def features(self, x: Tensor, inner: Tensor | None = None) -> Tensor:
        """What all layers before the upscaling ones make: (B, 64, H, W), right up to TAIL_PADDING
        pixels from inner sides."""
        first = body = self.conv_first(x)
        for block in self.body:
            body = without(inner, BLOCK_RADIUS, block(body))
        first = without(inner, BLOCK_RADIUS * len(self.body), first)
        return without(inner, OTHER_RADIUS - TAIL_PADDING, first + self.conv_body(body))

    def upscaled(self, features: Tensor, inner: Tensor | None = None) -> Tensor:
        """What the upscaling layers make of these, less TAIL_PADDING on inner sides."""
        return without(inner, 4 * TAIL_PADDING, self._tail(features))

    def fold(self) -> "RRDBNet":
        """Makes the upscaling layers what suits OpenVINO, to whose planning of memory strips are a
        hindrance. To be called once, when the weights are in."""
        self.strips = 1
        self.conv_up1, self.conv_up2 = Doubling(self.conv_up1), Doubling(self.conv_up2)
        return self

    def _tail(self, features: Tensor) -> Tensor:
        if self.strips == 1:
            return self._upscale(features)
        rows = torch._shape_as_tensor(features)[2]  # a tensor, so that tracing keeps it free
        return torch.cat([self._strip(features, rows, i) for i in range(self.strips)], dim=2)

    def _strip(self, features: Tensor, rows: Tensor, index: int) -> Tensor:
        """Result rows of one strip of `features`; none where there are fewer rows than strips."""
        first, last = rows * index // self.strips, rows * (index + 1) // self.strips
        top = (first - TAIL_PADDING).clamp(min=0)
        bottom = torch.minimum(torch.maximum(last, first + 1) + TAIL_PADDING, rows)
        strip = self._upscale(features[:, :, top:bottom])
        return strip[:, :, 4 * (first - top) : 4 * (last - top)]

    def _upscale(self, features: Tensor) -> Tensor:
        for conv in (self.conv_up1, self.conv_up2):
            folded = isinstance(conv, Doubling)
            double = features if folded else F.interpolate(features, scale_factor=2, mode="nearest")
            features = leaky(conv(double))
        image: Tensor = self.conv_last(leaky(self.conv_hr(features)))
        return image


class Doubling(nn.ConvTranspose2d):
    """What doubling by nearest neighbour and then a 3x3 convolution do, in 4/9 of the work: each
    pixel of the result sees only 2x2 different pixels, with sums of the nine weights."""

    def __init__(self, conv: nn.Module) -> None:
        assert isinstance(conv, nn.Conv2d)
        super().__init__(conv.in_channels, conv.out_channels, kernel_size=4, stride=2, padding=1)
        # Rows of 2y, 2y+1 see rows y-1, y, y and y, y, y+1: taps 3, 1, 1 and 2, 2, 0 of row y.
        sums = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=torch.double)
        weight = torch.einsum("ay,bx,oiyx->ioab", sums, sums, conv.weight.data.double())
        self.weight.data = weight.float()
        assert self.bias is not None
        assert conv.bias is not None
        self.bias.data = conv.bias.data


def without(inner: Tensor | None, margin: int | tuple[int, int], x: Tensor) -> Tensor:
    """(B, C, H, W) less `margin` pixels on the inner sides: at top and left, at bottom and right,
    if these differ."""
    if inner is None:
        return x
    before, after = (margin, margin) if isinstance(margin, int) else margin
    top, bottom, left, right = (torch._shape_as_tensor(inner)[1:] - 1).unbind()
    height, width = torch._shape_as_tensor(x)[2:].unbind()
    rows = slice(before * top, height - after * bottom)
    return x[:, :, rows, before * left : width - after * right]
