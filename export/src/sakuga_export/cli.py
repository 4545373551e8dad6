"""`sakuga-export`: weights to networks, config.yaml to config.pbtxt."""

import math
import sys
import time
from pathlib import Path
from typing import Any

import click

from sakuga_core.config.file import load_config
from sakuga_core.config.schema import Config
from sakuga_core.errors import SakugaError
from sakuga_core.networks import custom as custom_networks
from sakuga_core.networks import registry
from sakuga_core.networks.custom import CustomNetwork
from sakuga_core.networks.families import CustomUpscaler
from sakuga_core.networks.registry import NETWORKS, by_name
from sakuga_core.protocol import canonical
from sakuga_core.repository import writer
from sakuga_export.custom import add
from sakuga_export.errors import ExportError
from sakuga_export.fetch import FetchError


def _numbers(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[float, ...] | None:
    """One number, of all channels, or three with commas between."""
    if text is None:
        return None
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
        raise click.BadParameter(f"{text!r}; allowed: one number, or three with commas between")
    return numbers * (3 // len(numbers))


@click.command()
@click.argument("networks", nargs=-1, metavar="[NET]...")
@click.option("--config", "file", type=click.Path(), help="config.yaml to use")
@click.option("--all", "every", is_flag=True, help="every network there is")
@click.option("--weights", type=click.Path(path_type=Path), help="folder of the weight files")
@click.option("--check", is_flag=True, help="only fail if a config.pbtxt isn't up to date")
@click.option("--name", help="what to call a network of your own")
@click.option("--title", help="a line on it; left out, its file's name")
@click.option("--licence", default="not stated", help="of its weights")
@click.option("--side", type=click.IntRange(1), help="of what your .onnx sees, if it isn't fixed")
@click.option("--mean", callback=_numbers, help="of your .onnx, one or three numbers; ImageNet's")
@click.option("--std", callback=_numbers, help="likewise")
@click.option("--remove", metavar="NAME", help="delete a network of your own")
def main(
    networks: tuple[str, ...],
    file: str | None,
    every: bool,
    weights: Path | None,
    check: bool,
    remove: str | None,
    **options: Any,
) -> None:
    """Export networks into the model repository, and write its config.pbtxt files.

    NET is a network's name, or the file of one of your own: a super-resolution checkpoint (.pth,
    .safetensors) or a network that cuts out (.onnx). Left out, the networks that config.yaml names.
    """
    try:
        config = load_config(file)
    except SakugaError as error:
        raise click.ClickException(str(error)) from None
    try:
        if check:
            sys.exit(_check(config))
        done = _change_custom(networks, options, remove, config.server.repository)
        folder = config.server.repository
        for written in writer.write(folder, config):
            click.echo(f"wrote {written}")
    except ExportError as error:
        raise click.ClickException(str(error)) from None
    if done:
        return
    names = [n.name for n in NETWORKS] if every else list(networks) or configured(config)
    if failed := [name for name in names if not _export(name, config, weights)]:
        raise click.ClickException(f"not exported: {', '.join(failed)}")


def _change_custom(
    networks: tuple[str, ...], options: dict[str, Any], remove: str | None, repository: Path
) -> bool:
    """Adds or removes a network of one's own; whether that was asked for."""
    if remove:
        add.remove(remove, repository)
        click.echo(f"{remove}: removed")
        return True
    source = Path(networks[0]) if networks else Path()
    if source.suffix not in add.SUFFIXES and not options["name"]:
        return False
    if len(networks) != 1 or source.suffix not in add.SUFFIXES or not options["name"]:
        raise click.UsageError(f"one file ({', '.join(add.SUFFIXES)}) and its --name go together")
    if not source.is_file():
        raise ExportError(f"there is no file {source}")
    start = time.perf_counter()
    row = add.add(source, add.CustomOptions(**options), repository)
    click.echo(f"{row.name}: {_summary(row)}; exported in {time.perf_counter() - start:.1f} s")
    return True


def _summary(row: CustomNetwork) -> str:
    """What was found out of a network of one's own."""
    if not isinstance(row, CustomUpscaler):
        return f"cuts out, sees {row.side}x{row.side}"
    tiles = (
        f"receptive field {row.receptive_field}"
        if row.side is None
        else f"tiles of {row.side}x{row.side}"
    )
    return f"{row.architecture}, {row.scale}x, {tiles}"


def _check(config: Config) -> int:
    changed = writer.drift(config.server.repository, config)
    for file in changed:
        click.echo(f"{file} isn't what networks.py and config.yaml ask for; run `sakuga-export`")
    return 1 if changed else 0


def configured(config: Config) -> list[str]:
    """The networks that config.yaml names, and `upscale`'s default."""
    image, known = config.providers.image, {n.name for n in NETWORKS}
    actions = (image.upscale, image.fix_artifacts, image.enhance, image.rembg)
    blocks = (*actions, config.realesrgan, config.aurasr, config.rembg)
    named = [canonical(block.model) for block in blocks if block.model]
    defaults = [str(config.options_for("upscale")["model"])]
    return [name for name in dict.fromkeys(defaults + named) if name in known]


def _export(name: str, config: Config, weights: Path | None) -> bool:
    if name in {row.name for row in custom_networks.rows(config.server.repository)}:
        click.echo(f"{name}: your own, and there; its file exports it again")
        return True
    from sakuga_export import export

    start = time.perf_counter()
    try:
        network = registry.configured(by_name(name), config)
        done = export.export(network, config.server.repository, weights)
    except (KeyError, FetchError, ExportError) as error:
        click.echo(f"{name}: {error.args[0]}", err=True)
        return False
    seconds = f" in {time.perf_counter() - start:.1f} s"
    click.echo(f"{name}: exported{seconds}" if done else f"{name}: up to date")
    return True
