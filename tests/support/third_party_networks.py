"""Super-resolution networks of other people's architectures, on weights nobody trained."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from sakuga_export.custom import checkpoint


def _esrgan(**settings: Any) -> nn.Module:
    from spandrel.architectures.ESRGAN import ESRGAN

    standard = {"in_nc": 3, "out_nc": 3, "num_filters": 16, "num_blocks": 1, "scale": 4}
    return ESRGAN(**standard | settings)


def _compact(**settings: Any) -> nn.Module:
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    return SRVGGNetCompact(**{"num_feat": 16, "num_conv": 3, "upscale": 4} | settings)


def _span() -> nn.Module:
    from spandrel.architectures.SPAN import SPAN

    return SPAN(num_in_ch=3, num_out_ch=3, feature_channels=16, upscale=2)


def _plksr() -> nn.Module:
    from spandrel.architectures.PLKSR import RealPLKSR

    return RealPLKSR(dim=16, n_blocks=2, upscaling_factor=2, kernel_size=9)


def _swinir() -> nn.Module:
    from spandrel.architectures.SwinIR import SwinIR

    return SwinIR(
        img_size=16,
        depths=[2],
        embed_dim=12,
        num_heads=[2],
        window_size=8,
        mlp_ratio=2,
        upscale=2,
        upsampler="pixelshuffledirect",
        resi_connection="1conv",
    )


def _dat() -> nn.Module:
    from spandrel.architectures.DAT import DAT

    return DAT(
        img_size=16,
        split_size=[4, 8],
        depth=[2],
        embed_dim=32,
        num_heads=[2],
        expansion_factor=2,
        upscale=2,
        upsampler="pixelshuffledirect",
    )


def _cugan() -> nn.Module:
    from spandrel.architectures.RealCUGAN import UpCunet2x

    return UpCunet2x()


def _safmn() -> nn.Module:
    from spandrel.architectures.SAFMN import SAFMN

    return SAFMN(dim=16, n_blocks=1, upscaling_factor=2)


ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    "esrgan": _esrgan,
    "esrgan-8x": lambda: _esrgan(scale=8),
    "esrgan-gray": lambda: _esrgan(in_nc=1, out_nc=1),
    "realesrgan-x2": lambda: _esrgan(in_nc=12, scale=4, shuffle_factor=2),
    "compact": _compact,
    "span": _span,
    "realplksr": _plksr,
    "swinir": _swinir,
    "dat": _dat,
    "realcugan": _cugan,
    "safmn": _safmn,
}


def write_checkpoint(name: str, folder: Path, suffix: str = ".pth", half: bool = False) -> Path:
    """Writes a checkpoint of one of ARCHITECTURES; gives its path."""
    checkpoint.import_torchvision()
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's code, about itself
        torch.manual_seed(0)
        state = ARCHITECTURES[name]().state_dict()
    if half:
        state = {key: value.half() for key, value in state.items()}
    return write(state, folder / f"{name}{suffix}")


def write(state: dict[str, torch.Tensor], file: Path) -> Path:
    if file.suffix == ".safetensors":
        save_file({key: value.contiguous() for key, value in state.items()}, file)
    else:
        torch.save({"params": state}, file)
    return file
