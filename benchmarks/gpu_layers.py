"""What `gpu.py` adds to the networks of the export room, which it finds without an installation.

Needs torch and NumPy only.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

PROJECT = Path(__file__).parents[1]
if not find_spec("sakuga_export"):
    rooms = ("core", "client", "server", "export")
    sys.path[:0] = [str(PROJECT / room / "src") for room in rooms]

from sakuga_export.architectures.isnet import RSU, halved, upscaled  # noqa: E402

SIDES = (64, 64, 128, 256, 512, 512)  # channels of U²-Net's side outputs, from the largest


class U2Net(nn.Module):
    """U²-Net (Qin et al. 2020), of which IS-Net is a descendant: (B, 3, H, W), normalised, to a
    mask (B, 1, H, W) in [0, 1]; H and W divisible by 32.

    The server's network is a published ONNX file, so this exists for its speed alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            [
                *(RSU(7, 3, 32, 64), RSU(6, 64, 32, 128), RSU(5, 128, 64, 256)),
                *(RSU(4, 256, 128, 512), RSU(4, 512, 256, 512, True), RSU(4, 512, 256, 512, True)),
            ]
        )
        self.up = nn.ModuleList(
            [
                *(RSU(4, 1024, 256, 512, True), RSU(4, 1024, 128, 256), RSU(5, 512, 64, 128)),
                *(RSU(6, 256, 32, 64), RSU(7, 128, 16, 64)),
            ]
        )
        self.sides = nn.ModuleList(nn.Conv2d(c, 1, 3, padding=1) for c in SIDES)
        self.fuse = nn.Conv2d(len(SIDES), 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        x, skipped = image, list[Tensor]()
        for stage in self.down:
            x = stage(halved(x) if skipped else x)
            skipped.append(x)
        found = [skipped.pop()]
        for stage in self.up:
            skip = skipped.pop()
            found.append(stage(torch.cat((upscaled(found[-1], skip), skip), 1)))
        pairs = zip(self.sides, reversed(found), strict=True)
        masks = [upscaled(side(x), image) for side, x in pairs]
        fused: Tensor = self.fuse(torch.cat(masks, 1))
        return fused.sigmoid()


class Levels(nn.Module):
    """A network between whole numbers, as it is served: uint8 (B, H, W, 3) to uint8
    (B, 4H, 4W, 3), or for masks to float32 (B, H, W) in 0…255."""

    def __init__(self, net: nn.Module, mask: bool) -> None:
        super().__init__()
        self.net, self.mask = net, mask

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.net((image.float() / 255).permute(0, 3, 1, 2)).float()
        if self.mask:
            return result[:, 0] * 255
        return (result.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)


class Exact(nn.Module):
    """A first layer in float32 before a network in another type, as half-precision exports have
    it: float16 can't tell all levels of an image apart."""

    def __init__(self, layer: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer, self.dtype = layer, dtype

    def forward(self, samples: Tensor) -> Tensor:
        result: Tensor = self.layer(samples)
        return result.to(self.dtype)
