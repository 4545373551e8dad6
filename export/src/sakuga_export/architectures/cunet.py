"""CUNet, two U-Nets in a row, of waifu2x and Real-CUGAN (nagadomi/waifu2x, 2018; bilibili/ailab,
2022).

Four of its layers weigh channels by their means over the whole picture (squeeze and excitation), so
no tile gives what the whole picture would, unless it is told these means. They can be gathered from
tiles, layer by layer: each gives its share, which is what of a layer's sums is its own.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sakuga_core.networks.families import CUNET_MEANS
from sakuga_export.architectures.bordered import Border, Bordered, conv3x3, leaky
from sakuga_export.architectures.rrdb import without

# By scale: what the layers lose on each side, and what their strides ask for.
BORDERS = {1: (28, 4), 2: (18, 2), 3: (14, 4), 4: (19, 2)}

# What of the first U-Net's result the second one loses on each side, and before its first features
# are added to what comes from below.
LOST, SKIPPED = 20, 16

# The second U-Net's largest layers go over so many strips, one after another, with the same result:
# OpenVINO's peak for a picture of 612x1024 falls from 3.9 GB to 2.3 GB, in the same time.
STRIPS = 4


class Means:
    """Of a batch, the means over the whole picture that are known, and the shares of a window.

    Args:
        known: (B, 1 + sum(CUNET_MEANS)): how many layers' means are known, then the means. None: a
            window is a whole picture, whose means are its own.
        inner: of the windows, see `protocol.inner_shape`.
    """

    def __init__(self, known: Tensor | None, inner: Tensor | None) -> None:
        self.known, self.inner = known, inner
        self.shares: list[Tensor] = []

    def of(self, x: Tensor, overlap: int) -> Tensor:
        """A layer's means, (B, C, 1, 1), of its input: known ones, else those of the window.

        Args:
            overlap: how many samples of x neighbouring windows share at a side.
        """
        own = without(self.inner, (overlap // 2, overlap - overlap // 2), x)
        mean = own.mean(3).mean(2)
        height, width = torch._shape_as_tensor(own)[2:].unbind()
        count = (height * width).float().expand(len(mean), 1)
        layer = len(self.shares)
        self.shares.append(torch.cat((mean * count, count), dim=1))
        if self.known is not None:
            first = 1 + sum(CUNET_MEANS[:layer])
            given = self.known[:, first : first + CUNET_MEANS[layer]]
            mean = torch.where(self.known[:, :1] > layer, given, mean)
        return mean[:, :, None, None]


class SqueezeExcitation(nn.Module):
    """Weighs channels by what their means say."""

    def __init__(self, channels: int, overlap: int) -> None:
        super().__init__()
        self.overlap = overlap
        self.squeeze = nn.Conv2d(channels, channels // 8, kernel_size=1)
        self.excite = nn.Conv2d(channels // 8, channels, kernel_size=1)

    def forward(self, x: Tensor, means: Means) -> Tensor:
        weights = self.excite(F.relu(self.squeeze(means.of(x, self.overlap))))
        return x * torch.sigmoid(weights)


def cropped(x: Tensor, margin: int) -> Tensor:
    return x[:, :, margin:-margin, margin:-margin]


def down(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel_size=2, stride=2)


def up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, kernel_size=2, stride=2)


def height(x: Tensor) -> Tensor:
    return torch._shape_as_tensor(x)[2]  # a tensor, so that tracing keeps it free


def in_strips(rows: Tensor, scale: int, part: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """What `part` gives of so many rows, `scale` rows of result for each.

    Args:
        part: takes where a strip begins and ends; at least a row.
    """
    strips = []
    for i in range(STRIPS):
        start, stop = rows * i // STRIPS, rows * (i + 1) // STRIPS
        strip = part(start, torch.maximum(stop, start + 1))
        strips.append(strip[:, :, : scale * (stop - start)])
    return torch.cat(strips, dim=2)


def last(scale: int, outputs: int) -> nn.Module:
    """The layer that the first U-Net ends with."""
    if scale == 1:
        return conv3x3(64, outputs)
    if scale == 3:
        return nn.ConvTranspose2d(64, outputs, kernel_size=5, stride=3, padding=2)
    return nn.ConvTranspose2d(64, outputs, kernel_size=4, stride=2, padding=3)


class FirstUNet(nn.Module):
    """One level deep; upscales."""

    def __init__(self, scale: int, outputs: int, overlap: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv3x3(3, 32), conv3x3(32, 64)
        self.down = down(64)
        self.conv3, self.conv4 = conv3x3(64, 128), conv3x3(128, 64)
        self.weigh = SqueezeExcitation(64, overlap)
        self.up = up(64, 64)
        self.conv5 = conv3x3(64, 64)
        self.last = last(scale, outputs)

    def forward(self, x: Tensor, means: Means) -> Tensor:
        beside = leaky(self.conv2(leaky(self.conv1(x))))
        deep = leaky(self.conv4(leaky(self.conv3(leaky(self.down(beside))))))
        deep = leaky(self.up(self.weigh(deep, means)))
        result: Tensor = self.last(leaky(self.conv5(cropped(beside, 4) + deep)))
        return result


class SecondUNet(nn.Module):
    """Two levels deep; corrects what the first one gives."""

    def __init__(self, channels: int, overlaps: Sequence[int]) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv3x3(channels, 32), conv3x3(32, 64)
        self.down1 = down(64)
        self.conv3, self.conv4 = conv3x3(64, 64), conv3x3(64, 128)
        self.weigh1 = SqueezeExcitation(128, overlaps[0])
        self.down2 = down(128)
        self.conv5, self.conv6 = conv3x3(128, 256), conv3x3(256, 128)
        self.weigh2 = SqueezeExcitation(128, overlaps[1])
        self.up1 = up(128, 128)
        self.conv7, self.conv8 = conv3x3(128, 64), conv3x3(64, 64)
        self.weigh3 = SqueezeExcitation(64, overlaps[2])
        self.up2 = up(64, 64)
        self.conv9 = conv3x3(64, 64)
        self.last = conv3x3(64, channels)

    def forward(self, x: Tensor, means: Means) -> Tensor:
        below = self.below(self.halved(x), means)
        near = cropped(x, SKIPPED)

        def part(start: Tensor, stop: Tensor) -> Tensor:
            return self.corrected(
                near[:, :, 2 * start : 2 * stop + 8], below[:, :, start : stop + 2]
            )

        return in_strips(height(below) - 2, 2, part)

    def top(self, x: Tensor) -> Tensor:
        """Its first features, most of a network's memory: so strips compute them, and again where
        they are added to what comes from below."""
        return leaky(self.conv2(leaky(self.conv1(x))))

    def halved(self, x: Tensor) -> Tensor:
        def part(start: Tensor, stop: Tensor) -> Tensor:
            return leaky(self.down1(self.top(x[:, :, 2 * start : 2 * stop + 4])))

        return in_strips((height(x) - 4) // 2, 1, part)

    def below(self, x: Tensor, means: Means) -> Tensor:
        """All that is computed at half the size or less."""
        middle = self.weigh1(leaky(self.conv4(leaky(self.conv3(x)))), means)
        deep = leaky(self.conv6(leaky(self.conv5(leaky(self.down2(middle))))))
        deep = leaky(self.up1(self.weigh2(deep, means)))
        middle = leaky(self.conv8(leaky(self.conv7(cropped(middle, 4) + deep))))
        weighed: Tensor = self.weigh3(middle, means)
        return weighed

    def corrected(self, near: Tensor, below: Tensor) -> Tensor:
        features = self.top(near) + leaky(self.up2(below))
        correction: Tensor = self.last(leaky(self.conv9(features)))
        return correction


class CUNet(Bordered):
    """Super-resolution by 1, 2, 3 or 4; see `Bordered`.

    Args:
        scale: how many times as high and wide a result is.
        reflects: see `Border`.
    """

    def __init__(self, scale: int, reflects: int = False) -> None:
        width, step = BORDERS[scale]
        super().__init__(Border(width, step, bool(reflects)), scale)
        channels, surplus = (64, 2) if scale == 4 else (3, 0)
        # A layer has so many more samples than its windows' results ask for.
        second = LOST + surplus - 6
        third = second // 2 - 4
        self.first = FirstUNet(scale, channels, width - 6)
        self.second = SecondUNet(channels, (second, third, 2 * third - 4))
        self.shuffled = conv3x3(64, 12) if scale == 4 else None

    def forward(self, x: Tensor, inner: Tensor | None = None) -> Tensor:
        return self.gathered(x, inner)[0]

    def gathered(
        self, x: Tensor, inner: Tensor | None = None, known: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """The result, and the shares of each layer whose means are over the whole picture: (B,
        C + 1), the sums of what is the window's own, then their count."""
        means = Means(known, inner)
        first = self.first(self.seen(x, inner), means)
        result = cropped(first, LOST) + self.second(first, means)
        if self.shuffled is not None:
            result = F.pixel_shuffle(cropped(self.shuffled(result), 1), 2)
        result = self.cut(result, x, inner)
        if self.shuffled is not None:
            own = without(inner, self.receptive_field, x)
            result = result + F.interpolate(own, scale_factor=4, mode="nearest")
        return result, means.shares
