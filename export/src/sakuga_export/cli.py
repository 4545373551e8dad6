"""`sakuga-export`: weights to networks, config.yaml to config.pbtxt."""

import sys
import time
from pathlib import Path

import click

from sakuga.config import Config
from sakuga.config_file import load_config
from sakuga.errors import SakugaError
from sakuga.wire import canonical
from sakuga_export import repository
from sakuga_export.fetch import FetchError
from sakuga_export.networks import NETWORKS, by_name, chosen
from sakuga_export.placing import ExportError


@click.command()
@click.argument("networks", nargs=-1, metavar="[NET]...")
@click.option("--config", "file", type=click.Path(), help="config.yaml to use")
@click.option("--all", "every", is_flag=True, help="every network there is")
@click.option("--weights", type=click.Path(path_type=Path), help="folder of the weight files")
@click.option("--check", is_flag=True, help="only fail if a config.pbtxt isn't up to date")
def main(
    networks: tuple[str, ...], file: str | None, every: bool, weights: Path | None, check: bool
) -> None:
    """Export networks into the model repository, and write its config.pbtxt files.

    NET is a network's name; left out, the networks that config.yaml names.
    """
    try:
        config = load_config(file)
    except SakugaError as error:
        raise click.ClickException(str(error)) from None
    if check:
        sys.exit(_check(config))
    for written in repository.write(config.server.repository, config):
        click.echo(f"wrote {written}")
    names = [n.name for n in NETWORKS] if every else list(networks) or configured(config)
    if failed := [name for name in names if not _export(name, config, weights)]:
        raise click.ClickException(f"not exported: {', '.join(failed)}")


def _check(config: Config) -> int:
    changed = repository.drift(config.server.repository, config)
    for file in changed:
        click.echo(f"{file} isn't what networks.py and config.yaml ask for; run `sakuga-export`")
    return 1 if changed else 0


def configured(config: Config) -> list[str]:
    """The networks that config.yaml names, and `upscale`'s default."""
    image, known = config.providers.image, {n.name for n in NETWORKS}
    actions = (image.upscale, image.fix_artifacts, image.enhance, image.rembg)
    blocks = (*actions, config.realesrgan, config.aurasr, config.rembg)
    named = [canonical(block.model) for block in blocks if block.model]
    defaults = [str(config.upscale_options({})["model"])]
    return [name for name in dict.fromkeys(defaults + named) if name in known]


def _export(name: str, config: Config, weights: Path | None) -> bool:
    from sakuga_export import convert  # torch takes seconds to import; --check goes without

    start = time.perf_counter()
    try:
        network = chosen(by_name(name), config)
        done = convert.export(network, config.server.repository, weights)
    except (KeyError, FetchError, ExportError) as error:
        click.echo(f"{name}: {error.args[0]}", err=True)
        return False
    seconds = f" in {time.perf_counter() - start:.1f} s"
    click.echo(f"{name}: exported{seconds}" if done else f"{name}: up to date")
    return True
