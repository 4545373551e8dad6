"""The networks that `gpu.py` measures: their facts, their weights and the pictures they are shown.

Needs torch and NumPy only: the facts are those of `sakuga_core.networks.registry`, which needs
packages that a machine with a GPU may lack. A test compares them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import torch
from gpu_layers import U2Net
from torch import Tensor, nn
from torch.nn import functional as F

from sakuga_export.architectures import aura, isnet
from sakuga_export.architectures.rrdb import RRDBNet
from sakuga_export.architectures.srvgg import SRVGGNetCompact
from sakuga_export.families import ncnn

Shape = tuple[int, int]
"""Side of square tiles, and how many of them are one batch."""

CALIBRATION = 128  # side of the pictures that norms on generated weights have statistics of
SPREAD_OF_COLOURS, SPREAD_OF_LOGITS = 0.2, 2.0  # deviations with which results span nearly 0 to 1


@dataclass(frozen=True)
class Network:
    """A network, and what is measured of it."""

    name: str
    build: Callable[[], nn.Module]
    kilomacs: float
    """Thousands of multiply-accumulates a pixel of the input costs; 0: not to be told."""
    first: str
    """The layer that sees the input: in half precision it stays in float32."""
    shapes: tuple[Shape, ...]
    goal: tuple[Shape, ...] = ()
    """Those that a goal speaks of."""
    compiled: tuple[Shape, ...] = ()
    """Those for `torch.compile`, which takes half a minute each."""
    last: str = ""
    """The layer that generated weights need scaled, so that results span nearly 0 to 1."""
    files: tuple[str, ...] = ()
    """Of weights: the published one, and the one in ncnn's form."""
    mask: bool = False
    """Whether it gives masks, and not pictures of four times the side."""
    fixed: int | None = None
    """The only side that the exported file takes."""
    strips: bool = False
    """Whether its upscaling layers can run strip by strip, as in the exported file."""


def ladder(sides: Iterable[int], batches: Iterable[int], pixels: int) -> tuple[Shape, ...]:
    """All of them that have at most so many pixels in a batch."""
    return tuple((s, b) for s, b in product(sides, batches) if s * s * b <= pixels)


def rrdb() -> nn.Module:
    """In one piece: a GPU has the memory that strips save."""
    net = RRDBNet(blocks=6)
    net.strips = 1
    return net


# Pixels of a batch are those of the server's (`sakuga_core.repository.networks.BATCH_PIXELS`): a
# pixel costs an RRDBNet 4 kB at its widest, and tensors over 2^31 numbers not all layers take.
ANIME = Network(
    name="realesrgan-x4plus-anime",
    build=rrdb,
    kilomacs=5706,
    first="conv_first",
    shapes=ladder((1024, 512, 256), (1, 4, 16), 2**21),
    goal=((1024, 1),),
    compiled=((1024, 1), (256, 16)),
    last="conv_last",
    files=("RealESRGAN_x4plus_anime_6B.pth", "realesrgan-x4plus-anime.bin"),
    strips=True,
)
AURA = Network(
    name="aura-sr-v2",
    build=partial(aura.AuraSR, aura.Shape()),
    kilomacs=29050,
    first="init_conv",
    shapes=((64, 1), (64, 16), (64, 64)),
    # All tiles of a picture of 256² at once, and the server's largest batch.
    goal=((64, 25), (64, 8)),
    compiled=((64, 25),),
    last="final_to_rgb",
    fixed=64,
)
VIDEO = Network(
    name="realesr-animevideov3",
    build=partial(SRVGGNetCompact, convs=16),
    kilomacs=619,
    first="body.0",
    shapes=ladder((1024, 512, 256), (1, 4, 16), 2**23),
    compiled=((1024, 1),),
    files=("realesr-animevideov3.pth", "realesr-animevideov3-x4.bin"),
)
ISNET = Network(
    name="isnet-anime",
    build=isnet.ISNet,
    kilomacs=152.2,
    first="conv_in",
    shapes=((1024, 1), (1024, 4)),
    compiled=((1024, 1),),
    last="side1",
    mask=True,
    fixed=1024,
)
U2NET = Network(
    name="u2net",
    build=U2Net,
    kilomacs=572.2,
    first="down.0.rebnconvin.conv_s1",
    shapes=((320, 1), (320, 4), (320, 16)),
    compiled=((320, 1),),
    last="fuse",
    mask=True,
    fixed=320,
)
NETWORKS = (ANIME, AURA, VIDEO, ISNET, U2NET)

SMALL_AURA = replace(aura.Shape(), dim=8, side=16)
TINY = (
    replace(ANIME, shapes=((16, 1), (8, 2)), goal=((16, 1),), compiled=()),
    replace(
        AURA,
        build=partial(aura.AuraSR, SMALL_AURA),
        kilomacs=0,
        shapes=((16, 1),),
        goal=((16, 2),),
        compiled=(),
    ),
    replace(VIDEO, shapes=((16, 1), (16, 2)), compiled=((16, 1),)),
    replace(ISNET, shapes=((64, 1),), compiled=()),
    replace(U2NET, shapes=((64, 1),), compiled=()),
)
"""The same for a dry run on a CPU."""


def drawn(count: int, side: int) -> Tensor:
    """Flat fields with hard borders, and a little noise: uint8 (B, side, side, 3)."""
    torch.manual_seed(0)
    soft = F.interpolate(torch.rand(count, 3, 8, 8), size=side, mode="bicubic")
    fields = (soft * 6).round() / 6 + 0.02 * torch.randn_like(soft)
    return (fields.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous()


def loaded(network: Network, folder: Path) -> tuple[nn.Module, str]:
    """The network on the weights in `folder`, else on generated ones; and which of these."""
    net = network.build().eval()
    files = [folder / name for name in network.files]
    there = [file for file in files if file.exists()]
    if not there:
        return generated(network), "generated"
    if there[0].suffix == ".bin":
        net.load_state_dict(ncnn.read_state(there[0], net))
        return net, "published, fp16"
    checkpoint = torch.load(there[0], map_location="cpu", weights_only=True)
    net.load_state_dict(checkpoint.get("params_ema") or checkpoint["params"])
    return net, "published"


@torch.no_grad()
def generated(network: Network) -> nn.Module:
    """The network on weights nobody trained, whose results span nearly 0 to 1."""
    torch.manual_seed(0)
    net = network.build().eval()
    if network.mask:
        _calibrate(net)
    if network.last:
        _spread(net, network)
    return net


def _calibrate(net: nn.Module) -> None:
    """Gives norms the statistics of pictures, and biases that leave few ReLUs near their corner;
    without both, rounding would be amplified from layer to layer."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # a plain mean of what was seen
            nn.init.ones_(module.bias)
    net.train()(_samples(2, CALIBRATION))
    net.eval()


def _spread(net: nn.Module, network: Network) -> None:
    """Scales the last layer by what it gives for a picture."""
    layer, seen = net.get_submodule(network.last), []
    hook = layer.register_forward_hook(lambda _module, _inputs, result: seen.append(result))
    net(_samples(1, CALIBRATION if network.mask else min(network.shapes[0][0], 64)))
    hook.remove()
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    centre = seen[0].mean(dim=(0, 2, 3))
    spread = SPREAD_OF_LOGITS if network.mask else SPREAD_OF_COLOURS
    factor = spread / (seen[0] - centre[:, None, None]).std()
    layer.weight *= factor
    layer.bias.copy_((0 if network.mask else 0.5) + (layer.bias - centre) * factor)


def _samples(count: int, side: int) -> Tensor:
    return drawn(count, side).permute(0, 3, 1, 2) / 255
