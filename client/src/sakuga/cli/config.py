"""`sakuga config`: what config.yaml says, and what is in effect."""

import json
from collections.abc import Iterator
from typing import Any

import click

from sakuga.cli.errors import plain_errors
from sakuga.cli.settings import Settings
from sakuga_core.actions import ACTIONS
from sakuga_core.config.provenance import settings as settings_of
from sakuga_core.config.schema import Config, json_schema
from sakuga_core.errors import SakugaError
from sakuga_core.repository.checks import problems


@click.group()
def config() -> None:
    """Check config.yaml, show the settings in effect, print the JSON Schema."""


@config.command()
@click.pass_obj
def check(settings: Settings) -> None:
    """Check config.yaml; exit with 1 if it has errors."""
    config = settings.config
    with plain_errors():
        found = list(_problems(config))
    if found:
        raise click.ClickException("\n".join(found))
    click.echo(f"{config.source.file if config.source else 'the defaults'}: good")


def _problems(config: Config) -> Iterator[str]:
    """What reading the file can't see: networks, levels and providers that don't exist."""
    yield from problems(config)
    for action in ACTIONS:
        if config.block(action).provider:
            try:
                _import_provider(config, action)
            except SakugaError as error:
                yield str(error)


def _import_provider(config: Config, action: Any) -> None:
    from sakuga.custom_provider import CustomProvider
    from sakuga.triton import Triton

    CustomProvider(config, Triton(config.server), action)


@config.command()
@click.pass_obj
def show(settings: Settings) -> None:
    """Print every setting in effect, and where it comes from, in YAML."""
    lines = list(settings_of(settings.config))
    width = max(len(_line(setting.path, setting.value)) for setting in lines)
    open_blocks: list[str] = []
    for path, value, origin in lines:
        blocks = path.split(".")[:-1]
        for depth, name in enumerate(blocks):
            if open_blocks[: depth + 1] != blocks[: depth + 1]:
                click.echo(f"{'  ' * depth}{name}:")
        open_blocks = blocks
        click.echo(f"{_line(path, value):{width}}  # {origin}")


def _line(path: str, value: Any) -> str:
    *blocks, name = path.split(".")
    return f"{'  ' * len(blocks)}{name}: {json.dumps(value)}"


@config.command()
def schema() -> None:
    """Print the JSON Schema of config.yaml, for editors."""
    click.echo(json.dumps(json_schema(), indent=2))
