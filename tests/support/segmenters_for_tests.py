"""Background-removal networks in the form of rembg's files, for weights that can't be had
everywhere."""

import shutil
import warnings
from pathlib import Path

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn
from torch.nn import functional as F

from sakuga_core.networks.registry import by_name
from sakuga_export.fetch import fetch

WINDOW = 8
CHANNELS = 8
PATCH = 16


def stand_ins(folder: Path) -> None:
    """Writes files that stand in for rembg's, under their names: for u2net_human_seg its smaller
    sibling, for silueta that with weights of 8 bits, and for BiRefNet a small network."""
    u2netp = fetch(by_name("u2netp").weights[0]).path
    shutil.copy(u2netp, folder / "u2net_human_seg.onnx")
    quantize_dynamic(u2netp, folder / "silueta.onnx", weight_type=QuantType.QUInt8)
    birefnet = folder / "birefnet-general.onnx"
    write_birefnet(birefnet)
    for name in ("general-lite", "portrait"):
        shutil.copy(birefnet, folder / f"birefnet-{name}.onnx")


def write_birefnet(file: Path, side: int = 1024) -> None:
    """Writes a network with the interface of BiRefNet's published files (the project's notebook
    BiRefNet_pth2onnx): `input_image` (1, 3, side, side) to the logits `output_image`."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer's, of sizes it takes as fixed
        torch.onnx.export(
            generated_birefnet(),
            (torch.zeros(1, 3, side, side),),
            str(file),
            dynamo=False,
            opset_version=17,
            input_names=["input_image"],
            output_names=["output_image"],
        )


def generated_birefnet() -> nn.Module:
    """On weights nobody trained, whose logits go well beyond where a sigmoid saturates."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        net = SmallBiRefNet().eval()
        smooth = F.interpolate(torch.randn(1, 3, 4, 4), size=256, mode="bicubic")
        logits = net(smooth)
        net.head.weight *= 8 / logits.std()
        net.head.bias.copy_(-8 * logits.mean() / logits.std())
    return net


class SmallBiRefNet(nn.Module):
    """What of BiRefNet matters to an export: the picture at two scales, attention in windows, and
    results upscaled to the picture's size."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, CHANNELS, PATCH, stride=PATCH)
        self.mix = nn.Linear(CHANNELS, 3 * CHANNELS)
        self.detail = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.head = nn.Conv2d(2 * CHANNELS, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        half = _resized(x, x.shape[2] // 2)
        features = self.embed(x)
        features = features + _resized(self.embed(half), features.shape[2])
        features = features + self.attended(features)
        large = _resized(features, x.shape[2])
        return self.head(torch.cat((large, torch.tanh(self.detail(x))), dim=1))

    def attended(self, features: Tensor) -> Tensor:
        count = features.shape[2] // WINDOW
        windows = features.view(1, CHANNELS, count, WINDOW, count, WINDOW)
        windows = windows.permute(0, 2, 4, 3, 5, 1).reshape(-1, WINDOW**2, CHANNELS)
        query, key, value = self.mix(windows).chunk(3, dim=-1)
        weighed = torch.softmax(query @ key.transpose(1, 2), dim=-1) @ value
        # As Swin's trace has it, and with it every published file: a batch of 1 is in the shape.
        whole = weighed.view(1, count, count, WINDOW, WINDOW, CHANNELS)
        return whole.permute(0, 5, 1, 3, 2, 4).reshape(features.shape)


def _resized(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=True)
