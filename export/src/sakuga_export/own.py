"""Networks of one's own: rows like those of networks.py, kept beside what was exported.

`network.json` in a network's folder of the model repository is its row; `repository` writes
everything else from it.
"""

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from pydantic import TypeAdapter

from sakuga import wire
from sakuga_export.fetch import sha256
from sakuga_export.kinds import Cutout, Network, OwnUpscaler, Weights
from sakuga_export.networks import CUTOUTS, IMAGENET_MEAN, IMAGENET_STD, NETWORKS
from sakuga_export.placing import ExportError, placed

FILE = "network.json"
KINDS: dict[str, type[OwnUpscaler] | type[Cutout]] = {"upscaler": OwnUpscaler, "cutout": Cutout}
CHECKPOINTS = (".pth", ".ckpt", ".safetensors")
SUFFIXES = (*CHECKPOINTS, ".onnx")

CUTOUT_ONLY = ("side", "mean", "std")
NAME = re.compile("[a-z0-9]+(-[a-z0-9]+)*")
# `rembg_prepare` has an output a network, and these.
TENSORS = (wire.IMAGE, wire.OPTIONS, wire.PICTURE, wire.JOB, wire.NET_AUTHOR)

Own = OwnUpscaler | Cutout
Numbers = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody says of a file, beside the file."""

    name: str
    title: str | None = None
    licence: str = "not stated"
    side: int | None = None
    mean: Numbers | None = None
    std: Numbers | None = None

    def said_of(self, source: Path) -> dict[str, Any]:
        """What a row says that a file can't tell."""
        return {"name": self.name, "title": self.title or source.name, "licence": self.licence}


def rows(repository: Path) -> list[Own]:
    """The networks of one's own in a repository, by name.

    Raises:
        ExportError: a network.json isn't one.
    """
    return [_read(file) for file in sorted(repository.glob(f"*/{FILE}"))]


def _read(file: Path) -> Own:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        row: Own = TypeAdapter(KINDS[values.pop("kind")]).validate_python(values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # pydantic's is a ValueError
        first = str(error).splitlines()[0]
        raise ExportError(f"{file} isn't what `sakuga-export` writes: {first}") from error
    if row.folder != file.parent.name:
        raise ExportError(f"{file} is of {row.name}, whose folder is {row.folder}")
    return row


def _text(row: Own) -> str:
    kind = next(kind for kind, cls in KINDS.items() if isinstance(row, cls))
    return json.dumps({"kind": kind, **asdict(row)}, indent=2, ensure_ascii=False) + "\n"


def add(source: Path, wish: Wish, repository: Path) -> Own:
    """Exports a network of one's own into a repository, in the place of one of that name.

    Args:
        source: a super-resolution checkpoint, or the ONNX file of a network that cuts out.

    Raises:
        ExportError: the name is taken, or the file can't be served; the repository is as it was.
    """
    check_name(wish.name)
    weights = (Weights(source.name, "", sha256(source)),)
    with TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        place = _upscaler if source.suffix in CHECKPOINTS else _cutout
        row = place(source, wish, weights, model)
        if any(other.name == row.name for other in rows(repository)):
            remove(row.name, repository)
        with placed(repository / row.folder / "1" / row.file) as file:
            shutil.copyfile(model, file)
        (repository / row.folder / FILE).write_text(_text(row), encoding="utf-8")
    return row


def _upscaler(source: Path, wish: Wish, weights: tuple[Weights], target: Path) -> Own:
    from sakuga_export import own_upscalers  # torch takes seconds to import

    if said := [name for name in CUTOUT_ONLY if getattr(wish, name) is not None]:
        raise ExportError(f"--{said[0]} is of networks that cut out")
    row = OwnUpscaler(**wish.said_of(source), weights=weights, architecture="", scale=0, halo=0)
    return own_upscalers.place(row, source, target)


def _cutout(source: Path, wish: Wish, weights: tuple[Weights], target: Path) -> Own:
    from sakuga_export import own_cutouts

    mean, std = wish.mean or IMAGENET_MEAN, wish.std or IMAGENET_STD
    if wish.mean is None or wish.std is None:
        click.echo(f"{wish.name}: mean {mean}, std {std}; what isn't given is ImageNet's")
    if min(std) <= 0:
        raise ExportError(f"--std is {std}; allowed: numbers over 0")
    row = Cutout(**wish.said_of(source), weights=weights, side=0, mean=mean, std=std)
    return own_cutouts.place(row, source, target, wish.side)


def remove(name: str, repository: Path) -> None:
    """Deletes a network of one's own.

    Raises:
        ExportError: there is none of that name.
    """
    mine = {row.name: row for row in rows(repository)}
    if name not in mine:
        there = ", ".join(mine) or "none"
        raise ExportError(f"{name!r} isn't a network of your own; there are: {there}")
    shutil.rmtree(repository / mine[name].folder)
    if isinstance(mine[name], Cutout):
        shutil.rmtree(repository / wire.ensemble(name), ignore_errors=True)


def check_name(name: str) -> None:
    """
    Raises:
        ExportError: a network of one's own can't have that name.
    """
    if not NAME.fullmatch(name):
        raise ExportError(f"--name is {name!r}; allowed: lower-case letters, digits and hyphens")
    if name in wire.ALIASES or wire.folder(name) in _taken() or name.startswith("rembg-"):
        raise ExportError(f"--name is {name!r}, which Sakuga itself uses; choose another")


def _taken() -> set[str]:
    networks: tuple[Network, ...] = NETWORKS
    folders = {network.folder for network in networks}
    return (
        folders
        | {wire.ensemble(n.name) for n in CUTOUTS}
        | set(wire.PIPELINES)
        | {tensor.lower() for tensor in TENSORS}
    )
