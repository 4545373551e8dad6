"""How near a result is to the truth, by the measures of piq."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from sakuga_export.custom.checkpoint import import_torchvision
from sakuga_server.imaging.picture import Array

KEPT = import_torchvision()  # piq imports it
import piq  # noqa: E402

EXACT = 80.0  # what piq gives as PSNR of equal pictures, in decibels


@dataclass(frozen=True)
class Figures:
    """A result against the truth, all over red, green and blue."""

    psnr: float
    """Decibels; EXACT at most."""
    ssim: float
    """At the pictures' own size: piq would halve them first."""
    ms_ssim: float
    gmsd: float
    """Gradient magnitude similarity deviation: 0 is best."""


def figures(found: Array, truth: Array) -> Figures:
    """Of two pictures, uint8 (H, W, 3)."""
    x, y = _tensor(found), _tensor(truth)
    with _one_thread(), torch.inference_mode():
        return Figures(
            psnr=float(piq.psnr(x, y)),
            ssim=float(piq.ssim(x, y, downsample=False)),
            ms_ssim=float(piq.multi_scale_ssim(x, y)),
            gmsd=float(piq.gmsd(x, y)),
        )


@contextmanager
def _one_thread() -> Iterator[None]:
    """More would wait for each other, busily, on small pictures: ten times the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _tensor(pixels: Array) -> torch.Tensor:
    samples = pixels.astype(np.float32) / np.float32(255)
    return torch.from_numpy(samples).permute(2, 0, 1)[None]
