"""LaMa's generator (Suvorov et al. 2022, Fourier convolutions), to make checkpoints of its shape.

`big` is the published configuration, of 50,975,875 parameters, as its authors' own code gives it.
"""

from pathlib import Path

import torch
from torch import Tensor, nn


class Spectral(nn.Module):
    """A convolution over the Fourier transform."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = nn.Sequential(
            nn.Conv2d(channels, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU()
        )
        self.fourier = nn.Conv2d(2 * half, 2 * half, 1, bias=False)
        self.norm = nn.BatchNorm2d(2 * half)
        self.conv2 = nn.Conv2d(half, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        batch, channels, height, width = x.shape
        waves = torch.view_as_real(torch.fft.rfftn(x, dim=(-2, -1), norm="ortho"))
        waves = waves.permute(0, 1, 4, 2, 3).reshape(batch, 2 * channels, height, width // 2 + 1)
        waves = torch.relu(self.norm(self.fourier(waves)))
        waves = waves.reshape(batch, channels, 2, height, width // 2 + 1).permute(0, 1, 3, 4, 2)
        back = torch.fft.irfftn(
            torch.view_as_complex(waves.contiguous()), s=(height, width), dim=(-2, -1), norm="ortho"
        )
        return self.conv2(x + back)


class Ffc(nn.Module):
    """A fast Fourier convolution of both parts of its input, three quarters of it global."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        near = channels // 4
        far = channels - near
        same = {"padding": 1, "padding_mode": "reflect", "bias": False}
        self.convl2l = nn.Conv2d(near, near, 3, **same)  # type: ignore[arg-type]
        self.convl2g = nn.Conv2d(near, far, 3, **same)  # type: ignore[arg-type]
        self.convg2l = nn.Conv2d(far, near, 3, **same)  # type: ignore[arg-type]
        self.convg2g = Spectral(far)
        self.bn_l, self.bn_g = nn.BatchNorm2d(near), nn.BatchNorm2d(far)

    def forward(self, near: Tensor, far: Tensor) -> tuple[Tensor, Tensor]:
        local = self.convl2l(near) + self.convg2l(far)
        wide = self.convl2g(near) + self.convg2g(far)
        return torch.relu(self.bn_l(local)), torch.relu(self.bn_g(wide))


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.near = channels // 4
        self.conv1, self.conv2 = Ffc(channels), Ffc(channels)

    def forward(self, x: Tensor) -> Tensor:
        near, far = x[:, : self.near], x[:, self.near :]
        return x + torch.cat(self.conv2(*self.conv1(near, far)), dim=1)


class Lama(nn.Module):
    """Takes (B, 3, H, W) in 0…1 and (B, 1, H, W), 1 in the hole; gives the inpainted picture."""

    def __init__(self, features: int, blocks: int) -> None:
        super().__init__()

        def norm(channels: int) -> list[nn.Module]:
            return [nn.BatchNorm2d(channels), nn.ReLU()]

        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(4, features, 7, bias=False)]
        layers += norm(features)
        for level in (1, 2, 4):
            inner, outer = features * level, features * level * 2
            down = nn.Conv2d(inner, outer, 3, 2, 1, padding_mode="reflect", bias=False)
            # The last one parts its output into near and far, each normed by itself.
            layers += [down, *norm(outer)]
        layers += [Block(features * 8) for _ in range(blocks)]
        for level in (8, 4, 2):
            inner, outer = features * level, features * level // 2
            layers += [nn.ConvTranspose2d(inner, outer, 3, 2, 1, output_padding=1), *norm(outer)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(features, 3, 7), nn.Sigmoid()]
        self.model = nn.Sequential(*layers)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        shown = torch.cat((image * (1 - mask), mask), dim=1)
        return mask * self.model(shown) + (1 - mask) * image


def big() -> Lama:
    return Lama(64, 18)


def small() -> Lama:
    return Lama(8, 1)


def write(net: Lama, folder: Path) -> Path:
    """The network on weights nobody trained, as TorchScript, under its published name."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for parameter in net.parameters():
            if parameter.ndim > 1:
                nn.init.kaiming_normal_(parameter)
        example = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
        script = torch.jit.trace(net.eval(), example)
    file = folder / "anime-manga-big-lama.pt"
    torch.jit.save(script, file)
    return file
