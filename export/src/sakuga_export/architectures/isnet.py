"""IS-Net, a segmentation network of nested U-shapes (Qin et al. 2022, "Highly Accurate Dichotomous
Image Segmentation"), and its checkpoints.

Parameter names are those of the published checkpoints, so `load_state_dict(strict=True)` takes
them as they are.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# What rembg's files were written with (SkyTNT/anime-segmentation, export.py).
OPSET = 11
PREFIX = "net."


class ConvNormReLU(nn.Module):
    def __init__(self, inputs: int, outputs: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv_s1 = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)
        self.bn_s1 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn_s1(self.conv_s1(x)))


def halved(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2, stride=2, ceil_mode=True)


def upscaled(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


class RSU(nn.Module):
    """A residual U-block of `depth` levels: halved from level to level and upscaled on the way
    back; or, `dilated`, at one resolution, with dilations that double instead."""

    def __init__(
        self, depth: int, inputs: int, middle: int, outputs: int, dilated: bool = False
    ) -> None:
        super().__init__()
        self.depth, self.dilated = depth, dilated
        self.rebnconvin = ConvNormReLU(inputs, outputs)
        for level in range(1, depth + 1):
            wide = outputs if level == 1 else middle
            dilation = 2 ** (level - 1) if dilated else 1 + (level == depth)
            self.add_module(f"rebnconv{level}", ConvNormReLU(wide, middle, dilation))
            if level < depth:
                self.add_module(f"rebnconv{level}d", ConvNormReLU(2 * middle, wide, dilation))

    def forward(self, x: Tensor) -> Tensor:
        start: Tensor = self.rebnconvin(x)
        x = start
        skipped = []
        for level in range(1, self.depth + 1):
            # The last level keeps the resolution of the one before.
            x = halved(x) if 1 < level < self.depth and not self.dilated else x
            x = self.get_submodule(f"rebnconv{level}")(x)
            skipped.append(x)
        x = skipped.pop()
        for level in range(self.depth - 1, 0, -1):
            skip = skipped.pop()
            x = self.get_submodule(f"rebnconv{level}d")(torch.cat((upscaled(x, skip), skip), 1))
        return x + start


class ISNet(nn.Module):
    """(B, 3, H, W), normalised, to a mask (B, 1, H, W) in [0, 1]; H and W divisible by 64.

    Named ISNetDIS where it was published. Of its six side outputs only the first is computed; the
    others' parameters are there because the checkpoints have them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, 64, 3, stride=2, padding=1)
        self.stage1 = RSU(7, 64, 32, 64)
        self.stage2 = RSU(6, 64, 32, 128)
        self.stage3 = RSU(5, 128, 64, 256)
        self.stage4 = RSU(4, 256, 128, 512)
        self.stage5 = RSU(4, 512, 256, 512, dilated=True)
        self.stage6 = RSU(4, 512, 256, 512, dilated=True)
        self.stage5d = RSU(4, 1024, 256, 512, dilated=True)
        self.stage4d = RSU(4, 1024, 128, 256)
        self.stage3d = RSU(5, 512, 64, 128)
        self.stage2d = RSU(6, 256, 32, 64)
        self.stage1d = RSU(7, 128, 16, 64)
        for number, channels in enumerate((64, 64, 128, 256, 512, 512), start=1):
            self.add_module(f"side{number}", nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        x: Tensor = self.stage1(self.conv_in(image))
        skipped = [x]
        for stage in (self.stage2, self.stage3, self.stage4, self.stage5, self.stage6):
            x = stage(halved(x))
            skipped.append(x)
        x = skipped.pop()
        for stage in (self.stage5d, self.stage4d, self.stage3d, self.stage2d, self.stage1d):
            skip = skipped.pop()
            x = stage(torch.cat((upscaled(x, skip), skip), 1))
        side: Tensor = self.get_submodule("side1")(x)
        return upscaled(side, image).sigmoid()


def load(checkpoint: Path) -> ISNet:
    """The network of a checkpoint: a state dict as it is, or one of Lightning's, whose training
    helpers ("gt_encoder.…") are left out.

    Raises:
        ValueError: the file isn't a checkpoint of IS-Net.
    """
    net = ISNet().eval()
    try:
        found = torch.load(checkpoint, map_location="cpu", weights_only=True)
        net.load_state_dict(_without_prefix(found.get("state_dict", found)), strict=True)
    except Exception as error:  # torch.load raises whatever the bytes lead it to
        raise ValueError(f"{checkpoint} isn't a checkpoint of IS-Net: {error}") from error
    return net


def _without_prefix(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    own = {k.removeprefix(PREFIX): v for k, v in state.items() if k.startswith(PREFIX)}
    return own or state


def write(net: ISNet, file: Path, side: int) -> None:
    """Writes the network as rembg publishes it: `img` (1, 3, side, side) to `mask`."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer's, of sizes it takes as fixed: here they are
        torch.onnx.export(
            net,
            (torch.zeros(1, 3, side, side),),
            str(file),
            dynamo=False,
            opset_version=OPSET,
            input_names=["img"],
            output_names=["mask"],
        )
