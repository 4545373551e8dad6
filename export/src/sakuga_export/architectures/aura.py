"""AuraSR's upsampler (fal, 2024, after GigaGAN, Kang et al. 2023) for one fixed style.

Published, its 3x3 convolutions mix four kernels each by a style vector that is drawn anew for every
tile, and modulate and demodulate the mix. With one style all of that is constant: `bake` does it
once, which leaves plain convolutions, a third of the parameters, and the same picture every time.

Module names are those of the published checkpoints.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

State = Mapping[str, Tensor]

BLOCKS = 6  # residual blocks a resolution
DOWN, UP = (2, 4, 8, 16), (1, 1, 2, 4, 8, 16)  # channels by resolution, in multiples of `dim`
KERNELS = 4  # that a checkpoint holds for each convolution
HEADS, HEAD = 8, 64
MIDDLE_DEPTH = 4
UP_DEPTHS = (4, 2, 0, 0, 0)  # transformer layers after each upscaling step
NOT_ZERO = 1e-8
STYLED = ("style_network.", "style_to_conv_modulations.")
UNUSED = ".attend.scale"  # is in every checkpoint, and in no formula


@dataclass(frozen=True)
class Shape:
    """What a checkpoint's config.json says, as far as it makes a difference."""

    dim: int = 64
    skip: float = 0.4
    """Factor of skip connections."""
    style: int = 128
    """Length of a style vector."""
    side: int = 64
    """Of the tiles that it takes; results have four times that."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Shape":
        """
        Raises:
            ValueError: it isn't the configuration of a network that this module builds.
        """
        style = dict(config["style_network"])
        shape = cls(
            config["dim"],
            config["skip_connect_scale"],
            style["dim_in"],
            config["input_image_size"],
        )
        known = {"style_network", "dim", "image_size", "input_image_size"}
        known |= {"unconditional", "skip_connect_scale"}
        if extra := set(config) - known:
            raise ValueError(f"config.json has {', '.join(sorted(extra))}, which isn't known here")
        if config["image_size"] != 4 * shape.side:
            raise ValueError(f"image_size is {config['image_size']}; allowed: {4 * shape.side}")
        return shape


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False)


class Block(nn.Module):
    """A convolution and SiLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj = conv3x3(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.proj(x))


class Residual(nn.Module):
    """Two blocks beside a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block1, self.block2 = Block(inputs, outputs), Block(outputs, outputs)
        self.res_conv = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block2(self.block1(x)) + self.res_conv(x)
        return result


class Norm(nn.Module):
    """Each pixel's channels to length √C, and a gain each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        scaled: Tensor = F.normalize(x, dim=1) * (self.g * x.shape[1] ** 0.5)
        return scaled


class Attention(nn.Module):
    """Every pixel of a tile looks at every other."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.pixels, self.side = side * side, side
        self.norm = Norm(channels)
        self.to_qkv = nn.Conv2d(channels, 3 * HEADS * HEAD, 1, bias=False)
        self.to_out = nn.Conv2d(HEADS * HEAD, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        # The sizes are numbers, so that tracing leaves only the batch free.
        parts = self.to_qkv(self.norm(x)).view(-1, 3, HEADS, HEAD, self.pixels)
        query, key, value = parts.transpose(3, 4).unbind(1)
        seen = F.scaled_dot_product_attention(query, key, value).transpose(2, 3)
        result: Tensor = self.to_out(seen.reshape(-1, HEADS * HEAD, self.side, self.side))
        return result


class Transformer(nn.Module):
    """Attention, then two 1x1 convolutions, `depth` times."""

    def __init__(self, channels: int, side: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([Attention(channels, side), _feed_forward(channels)])
            for _ in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        for part in self.layers:
            assert isinstance(part, nn.ModuleList)
            for module in part:
                x = module(x) + x
        return x


def _feed_forward(channels: int) -> nn.Sequential:
    wide = 4 * channels
    return nn.Sequential(
        Norm(channels), nn.Conv2d(channels, wide, 1), nn.GELU(), nn.Conv2d(wide, channels, 1)
    )


class Doubling(nn.Module):
    """Nearest neighbours, and a convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))
        return result


class AuraSR(nn.Module):
    """4x super-resolution of tiles: (B, 3, side, side) in [0, 1] to (B, 3, 4·side, 4·side), not
    clamped.

    The styled convolutions stand in the order in which the modulations of a checkpoint do.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        down, up = ([shape.dim * times for times in ladder] for ladder in (DOWN, UP))
        self.init_conv = nn.Conv2d(3, down[0], 7, padding=3)
        self.downs = nn.ModuleList(_down(*pair) for pair in pairwise(down))
        self.mid_block1 = Residual(down[-1], down[-1])
        self.mid_attn = Transformer(down[-1], shape.side // 8, MIDDLE_DEPTH)
        self.mid_block2 = Residual(down[-1], down[-1])
        steps = enumerate(zip(pairwise(reversed(up)), UP_DEPTHS, strict=True))
        self.ups = nn.ModuleList(
            _up(*channels, step < len(self.downs), shape.side * 2**step // 4, depth)
            for step, (channels, depth) in steps
        )
        self.final_res_block = Residual(shape.dim, shape.dim)
        self.final_to_rgb = nn.Conv2d(shape.dim, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        x, skipped = self.init_conv(image), []
        for blocks, _, halve in map(_parts, self.downs):
            for block in blocks:
                x = block(x)
                skipped.append(x)
            x = halve(x)
        x = self.mid_block2(self.mid_attn(self.mid_block1(x)))
        for blocks, double, attend in map(_parts, self.ups):
            x = double(x)
            for block in blocks:
                x = block(torch.cat((x, skipped.pop()), dim=1) if skipped else x)
            x = attend(x)
        result: Tensor = self.final_to_rgb(self.final_res_block(x))
        return result


def _parts(step: nn.Module) -> Iterator[Any]:
    """Its blocks, and the two modules that a checkpoint groups apart from them."""
    blocks, others = step.children()
    return chain((blocks,), others.children())


def _down(channels: int, deeper: int) -> nn.ModuleList:
    blocks = nn.ModuleList(Residual(channels, channels) for _ in range(BLOCKS))
    halve = nn.Conv2d(channels, deeper, 3, stride=2, padding=1)
    return nn.ModuleList([blocks, nn.ModuleList([nn.Identity(), halve])])


def _up(deeper: int, channels: int, skips: bool, side: int, depth: int) -> nn.ModuleList:
    inputs = 2 * channels if skips else channels
    blocks = nn.ModuleList(Residual(inputs, channels) for _ in range(BLOCKS))
    attend = Transformer(channels, side, depth) if depth else nn.Identity()
    return nn.ModuleList([blocks, nn.ModuleList([Doubling(deeper, channels), attend])])


def style_vector(length: int, seed: int) -> Tensor:
    """A style: (1, length), normally distributed, the same on every machine."""
    drawn = np.random.RandomState(seed).standard_normal((1, length))
    return torch.from_numpy(drawn.astype(np.float32))


def bake(checkpoint: State, shape: Shape, style: Tensor) -> AuraSR:
    """The network for one style, in evaluation mode.

    Args:
        checkpoint: the state dict as published.
        shape: of its network.
        style: (1, shape.style), what the reference draws for each tile.

    Raises:
        ValueError: the state dict is of another network.
    """
    net = AuraSR(shape).eval()
    own = {k: v for k, v in checkpoint.items() if not k.startswith(STYLED)}
    state = {k: v for k, v in own.items() if not k.endswith(UNUSED)}
    try:
        modulation = _modulation(checkpoint, style)
        for name, module in net.named_modules():
            if isinstance(module, Block):
                inputs = module.proj.in_channels
                factors, mix, modulation = modulation.tensor_split((inputs, inputs + KERNELS))
                kernels = state.pop(f"{name}.proj.weights")
                state[f"{name}.proj.weight"] = _plain(kernels, factors, mix)
        net.load_state_dict(state, strict=True)
    except (KeyError, RuntimeError) as error:
        raise ValueError(str(error)) from error
    if len(modulation):
        raise ValueError(f"{len(modulation)} modulations belong to no convolution")
    _fold_skips(net, shape.skip)
    return net


def _modulation(checkpoint: State, style: Tensor) -> Tensor:
    """All that a style makes of the convolutions, in their order: (inputs + KERNELS) numbers each.

    Layers of the style network learn at a tenth of the rate, and so are stored at ten times the
    size.
    """
    x = F.normalize(style, dim=1)
    layers = {name for name in checkpoint if name.startswith("style_network.net.")}
    for layer in sorted({int(name.split(".")[2]) for name in layers}):
        weight, bias = (checkpoint[f"style_network.net.{layer}.{p}"] for p in ("weight", "bias"))
        x = F.leaky_relu(F.linear(x, weight * 0.1, bias * 0.1), negative_slope=0.2)
    weight, bias = (checkpoint[f"style_to_conv_modulations.{p}"] for p in ("weight", "bias"))
    return F.linear(x, weight, bias)[0]


def _plain(kernels: Tensor, factors: Tensor, mix: Tensor) -> Tensor:
    """One plain kernel (O, I, 3, 3) of (KERNELS, O, I, 3, 3): mixed, modulated, demodulated."""
    mixed = torch.einsum("n,noihw->oihw", mix.softmax(dim=0), kernels)
    weights = mixed * (factors + 1)[:, None, None]
    norm = weights.square().sum(dim=(1, 2, 3), keepdim=True)
    return weights * norm.clamp(min=NOT_ZERO).rsqrt()


def _fold_skips(net: AuraSR, factor: float) -> None:
    """Has the convolutions do what the factor of skip connections would."""
    for step in net.ups[: len(net.downs)]:
        blocks, *_ = _parts(step)
        for block in blocks:
            for conv in (block.block1.proj, block.res_conv):
                conv.weight.data[:, conv.in_channels // 2 :] *= factor
