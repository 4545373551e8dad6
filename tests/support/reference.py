"""Super-resolution as its authors published it: `realesrgan` over `basicsr`, and `aura_sr`."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from safetensors.torch import load_file

from sakuga_core.networks.families import Upscaler
from sakuga_export.custom import checkpoint
from sakuga_export.families.upscalers import State


def import_reference() -> Any:
    """The `realesrgan` package, after what its unmaintained dependencies need to be imported."""
    checkpoint.import_torchvision()
    import torchvision.transforms.functional as functional

    # basicsr 1.4.2 imports a module that torchvision 0.17 renamed.
    sys.modules["torchvision.transforms.functional_tensor"] = functional
    import realesrgan

    return realesrgan


def architecture(network: Upscaler) -> torch.nn.Module:
    """The reference's own network of that row."""
    import_reference()
    if network.architecture == "RRDBNet":
        from basicsr.archs.rrdbnet_arch import RRDBNet

        return RRDBNet(3, 3, scale=4, num_block=network.settings["blocks"])
    from realesrgan.archs.srvgg_arch import SRVGGNetCompact

    return SRVGGNetCompact(num_conv=network.settings["convs"], upscale=4)


def upsampler(
    network: Upscaler,
    states: list[State],
    folder: Path,
    strength: float | None = None,
    **options: Any,
) -> Any:
    """A RealESRGANer with these weights: tile 0, float32, no pre-padding, as its script has it."""
    files = []
    for index, state in enumerate(states):
        files.append(str(folder / f"{network.name}-{index}.pth"))
        torch.save({"params": dict(state)}, files[-1])
    return import_reference().RealESRGANer(
        scale=4,
        model_path=files if strength is not None else files[0],
        dni_weight=None if strength is None else [strength, 1 - strength],
        model=architecture(network),
        **{"tile": 0, "pre_pad": 0, "half": False, **options},
    )


def enhance(reference: Any, pixels: np.ndarray, scale: float | None = None) -> np.ndarray:
    """What the reference makes of RGB, RGBA or gray pixels; it takes and gives OpenCV's order."""
    swap = [2, 1, 0, 3][: pixels.shape[2]] if pixels.ndim == 3 else slice(None)
    source = np.ascontiguousarray(pixels[..., swap] if pixels.ndim == 3 else pixels)
    result, _ = reference.enhance(source, outscale=scale)
    return np.asarray(result[..., swap] if result.ndim == 3 else result)


def aura_sr() -> Any:
    """The `aura_sr` package."""
    import_reference()  # for torchvision
    import aura_sr

    return aura_sr


def aura(checkpoint: Path) -> Any:
    """An AuraSR with these weights; its `from_pretrained` goes to a GPU."""
    config = json.loads(checkpoint.with_name("config.json").read_text())
    reference = aura_sr().AuraSR(config, device="cpu")
    reference.upsampler.load_state_dict(load_file(checkpoint), strict=True)
    return reference


@contextmanager
def without_chance(style: torch.Tensor) -> Iterator[None]:
    """Gives each of AuraSR's tiles this style, (1, length), and no noise."""

    def styles(*shape: Any, **_: Any) -> torch.Tensor:
        return style.expand(*shape)

    with (
        mock.patch("torch.randn", styles),
        mock.patch("torch.randn_like", torch.zeros_like),
        torch.no_grad(),
    ):
        yield
