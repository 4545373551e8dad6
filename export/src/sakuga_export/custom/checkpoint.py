"""Checkpoints of networks that this project doesn't know, read by spandrel; its only importer.

Importing it takes seconds, so that happens when it is first needed.
"""

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from sakuga_export.errors import ExportError

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

Descriptor: TypeAlias = "ImageModelDescriptor[torch.nn.Module]"

REASON_LENGTH = 200


@cache
def import_torchvision() -> object:
    """Has `import torchvision` work; gives what has to be kept alive for that."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        # A CPU build of torch beside PyPI's torchvision, which is built for CUDA: its compiled
        # operators don't load, and it stops at these two. Nothing here calls them.
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for operator in ("nms", "qnms"):
            signature = "(Tensor dets, Tensor scores, float threshold) -> Tensor"
            library.define(operator + signature)  # type: ignore[no-untyped-call]
        return library
    return None


def load(file: Path) -> Descriptor:
    """A super-resolution network, in float32 and evaluation mode.

    Args:
        file: .pth or .ckpt, unpickled with nothing but tensors allowed, or .safetensors.

    Raises:
        ExportError: it can't be read, or isn't a network that `upscale` can serve.
    """
    import_torchvision()
    import spandrel

    try:
        descriptor = spandrel.ModelLoader().load_from_file(file)
    except spandrel.UnsupportedModelError:
        raise ExportError(f"{file.name}: spandrel knows no network with such weights") from None
    except Exception as error:  # whatever a broken file makes torch, safetensors or spandrel raise
        raise ExportError(f"{file.name} can't be read: {reason(error)}") from error
    _refuse(file.name, descriptor)
    assert isinstance(descriptor, spandrel.ImageModelDescriptor)
    return descriptor.float().eval()


def _refuse(name: str, descriptor: Any) -> None:
    """
    Raises:
        ExportError: with what the network is for instead.
    """
    kind = descriptor.architecture.name
    channels = (descriptor.input_channels, descriptor.output_channels)
    if descriptor.purpose in ("FaceSR", "Inpainting"):
        does = {"FaceSR": "restores faces", "Inpainting": "inpaints"}
        raise ExportError(
            f"{name} is {kind}, which {does[descriptor.purpose]}; `upscale` serves no such network"
        )
    if descriptor.scale < 2:
        raise ExportError(f"{name} is {kind} of scale 1; `upscale` serves networks that upscale")
    if kind == "AuraSR":
        raise ExportError(f"{name} is AuraSR; `sakuga export aura-sr-v2` serves that")
    if channels not in ((3, 3), (1, 1)):
        raise ExportError(
            f"{name} takes {channels[0]} channels and gives {channels[1]}; allowed: 3 or 1"
        )


def reason(error: BaseException) -> str:
    """An error of somebody else's, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= REASON_LENGTH else text[:REASON_LENGTH] + "…"
