"""Custom networks: rows like those of networks.py, kept beside what was exported.

`network.json` in a network's folder of the model repository is its row; the repository writer
writes everything else from it.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from sakuga_core import protocol
from sakuga_core.networks.custom import FILE, CustomNetwork, rows, text
from sakuga_core.networks.families import (
    HALF_FILE,
    CustomUpscaler,
    Network,
    Segmenter,
    Weights,
)
from sakuga_core.networks.registry import NETWORKS, SEGMENTERS, names
from sakuga_core.networks.segmenters import IMAGENET_MEAN, IMAGENET_STD
from sakuga_export.errors import ExportError
from sakuga_export.fetch import sha256
from sakuga_export.output import atomically

CHECKPOINTS = (".pth", ".ckpt", ".safetensors")
SUFFIXES = (*CHECKPOINTS, ".onnx")

SEGMENTER_ONLY = ("side", "mean", "std")
NAME = re.compile("[a-z0-9]+(-[a-z0-9]+)*")

Numbers = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class CustomOptions:
    """What somebody says of a file, beside the file."""

    name: str
    title: str | None = None
    licence: str = "not stated"
    side: int | None = None
    mean: Numbers | None = None
    std: Numbers | None = None

    def facts(self, source: Path) -> dict[str, Any]:
        """What a row says that a file can't tell."""
        return {"name": self.name, "title": self.title or source.name, "licence": self.licence}


def add(source: Path, options: CustomOptions, repository: Path) -> CustomNetwork:
    """Exports a custom network into a repository, in the place of one of that name.

    Args:
        source: a super-resolution checkpoint, or the ONNX file of a segmentation network.

    Raises:
        ExportError: the name is taken, or the file can't be served; the repository is as it was.
    """
    check_name(options.name)
    weights = (Weights(source.name, "", sha256(source)),)
    with TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        convert = _upscaler if source.suffix in CHECKPOINTS else _segmenter
        row = convert(source, options, weights, model)
        if any(other.name == row.name for other in rows(repository)):
            remove(row.name, repository)
        for name in (row.file, *([HALF_FILE] if row.half else [])):
            with atomically(repository / row.folder / "1" / name) as file:
                shutil.copyfile(model.with_name(name), file)
        (repository / row.folder / FILE).write_text(text(row), encoding="utf-8")
    return row


def _upscaler(
    source: Path, options: CustomOptions, weights: tuple[Weights], target: Path
) -> CustomNetwork:
    from sakuga_export.custom import upscalers

    if wrong := [name for name in SEGMENTER_ONLY if getattr(options, name) is not None]:
        raise ExportError(f"--{wrong[0]} is for segmentation networks")
    row = CustomUpscaler(
        **options.facts(source), weights=weights, architecture="", scale=0, receptive_field=0
    )
    return upscalers.convert(row, source, target)


def _segmenter(
    source: Path, options: CustomOptions, weights: tuple[Weights], target: Path
) -> CustomNetwork:
    from sakuga_export.custom import segmenters

    mean, std = options.mean or IMAGENET_MEAN, options.std or IMAGENET_STD
    if options.mean is None or options.std is None:
        click.echo(f"{options.name}: mean {mean}, std {std}; what isn't given is ImageNet's")
    if min(std) <= 0:
        raise ExportError(f"--std is {std}; allowed: numbers over 0")
    row = Segmenter(**options.facts(source), weights=weights, side=0, mean=mean, std=std)
    return segmenters.convert(row, source, target, options.side)


def remove(name: str, repository: Path) -> None:
    """Deletes a custom network.

    Raises:
        ExportError: there is none of that name.
    """
    existing = {row.name: row for row in rows(repository)}
    if name not in existing:
        there = ", ".join(existing) or "none"
        raise ExportError(f"{name!r} isn't a custom network; there are: {there}")
    shutil.rmtree(repository / existing[name].folder)
    if isinstance(existing[name], Segmenter):
        shutil.rmtree(repository / protocol.ensemble(name), ignore_errors=True)


def check_name(name: str) -> None:
    """
    Raises:
        ExportError: a custom network can't have that name.
    """
    if not NAME.fullmatch(name):
        raise ExportError(f"--name is {name!r}; allowed: lower-case letters, digits and hyphens")
    if (
        name in (*protocol.ALIASES, *names())
        or protocol.folder(name) in _taken()
        or name.startswith("rembg-")
    ):
        raise ExportError(f"--name is {name!r}, which Sakuga itself uses; choose another")


def _taken() -> set[str]:
    networks: tuple[Network, ...] = NETWORKS
    folders = {network.folder for network in networks}
    return (
        folders
        | {protocol.ensemble(n.name) for n in SEGMENTERS}
        | set(protocol.PIPELINES)
        | {name.removeprefix(protocol.ensemble("")) for name in protocol.PIPELINES}
    )
