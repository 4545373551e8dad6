"""SRVGGNetCompact, Real-ESRGAN's small network: all convolutions at the input's resolution.

Parameter names are those of the published checkpoints, so `load_state_dict(strict=True)` takes
them as they are.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sakuga_export.architectures.rrdb import conv3x3


class SRVGGNetCompact(nn.Module):
    """4x super-resolution: (B, 3, H, W) in [0, 1] to (B, 3, 4H, 4W), not clamped.

    The receptive field reaches `convs` + 2 pixels of the input to every side.
    """

    def __init__(self, convs: int, features: int = 64, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(conv3x3(3, features), nn.PReLU(features))
        for _ in range(convs):
            self.body.extend((conv3x3(features, features), nn.PReLU(features)))
        self.body.append(conv3x3(features, 3 * scale * scale))

    def forward(self, x: Tensor) -> Tensor:
        # Added before the channels become pixels: the same sums as after doubling `x` twice, on one
        # plane instead of sixteen, and engines fuse them with the last convolution.
        detail = self.body(x)
        count = self.scale**2
        base = torch.cat([x[:, i // count, None] for i in range(3 * count)], dim=1)
        return F.pixel_shuffle(detail + base, self.scale)
