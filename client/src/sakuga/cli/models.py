"""`sakuga models`: the networks of the server."""

import json
from collections.abc import Mapping
from typing import Any

import click

from sakuga.cli.errors import plain_errors
from sakuga.cli.measure import measure
from sakuga.cli.server import ask, ask_any
from sakuga.cli.settings import Settings
from sakuga.transport import Transport
from sakuga.triton import Triton
from sakuga_core import protocol
from sakuga_core.errors import ConfigError, ModelNotInstalled

OF_TRITON = ("device", "speed", "calls")  # of a network, which a gateway doesn't tell


@click.group(invoke_without_command=True)
@click.option("--measure", "measured", is_flag=True, help="measure the speed of loaded networks")
@click.option("--json", "as_json", is_flag=True, help="print everything as JSON")
@click.pass_context
def models(context: click.Context, measured: bool, as_json: bool) -> None:
    """List the networks of the server: whether they are exported and loaded, and what they need."""
    if context.invoked_subcommand:
        return
    with plain_errors():
        networks = ask_any(context.obj.config, lambda server: _listed(server, measured))
    if as_json:
        click.echo(json.dumps(networks, indent=2))
        return
    width = max(map(len, networks))
    for name, facts in networks.items():
        click.echo(f"{name:{width}}  {_state(facts)}")
        click.echo(f"{'':{width}}  {facts['title']}")
        click.echo(f"{'':{width}}  {facts['licence']}; {facts['source']}")


async def _listed(server: Transport, measured: bool) -> dict[str, dict[str, Any]]:
    networks = await server.networks()
    if isinstance(server, Triton):
        await _complete(server, networks, measured)
        return networks
    if measured:
        raise ConfigError(
            f"--measure needs Triton itself, and {server.url} is a gateway; allowed: auto, or "
            "host:port of Triton's gRPC"
        )
    return {name: {**facts, **dict.fromkeys(OF_TRITON)} for name, facts in networks.items()}


async def _complete(triton: Triton, networks: dict[str, dict[str, Any]], measured: bool) -> None:
    """Adds to networks what Triton alone tells."""
    for name, facts in networks.items():
        loaded = facts["loaded"]
        facts["device"] = await triton.device(protocol.folder(name)) if loaded else None
        facts["speed"] = await measure(triton, name, facts) if loaded and measured else None
    statistics = (await triton.status())["models"]
    for name, facts in networks.items():
        facts["calls"] = statistics.get(protocol.folder(name))


def _state(facts: Mapping[str, Any]) -> str:
    """Whether it is exported and loaded, and what it needs, in a line."""
    kind = f"{facts['scale']}x" if facts["scale"] else facts["kind"]
    if not facts["installed"]:
        return f"not exported  {kind}"
    if not facts["loaded"]:
        return f"not loaded  {kind}, {facts['megabytes']} MB on disk"
    parts = [kind, *([f"on {facts['device']}"] if facts["device"] else [])]
    if facts["memory"] is not None:
        parts.append(f"{facts['memory']} MB")
    if facts["calls"] and facts["calls"]["requests"]:
        mean, count = facts["calls"]["compute_ms"], facts["calls"]["requests"]
        parts.append(f"{mean:.0f} ms a call over {count} calls")
    return f"loaded  {', '.join([*parts, *filter(None, [facts['speed']])])}"


@models.command()
@click.argument("name")
@click.pass_obj
def load(settings: Settings, name: str) -> None:
    """Load the network NAME."""

    async def question(triton: Triton) -> None:
        facts = await _known(triton, name)
        if not facts["installed"]:
            raise ModelNotInstalled.exportable(name)
        await triton.load(protocol.served_by(name, facts["kind"]))

    with plain_errors():
        ask(settings.config, question)
    click.echo(f"{protocol.canonical(name)} is loaded")


@models.command()
@click.argument("name")
@click.pass_obj
def unload(settings: Settings, name: str) -> None:
    """Unload the network NAME after its requests in flight."""

    async def question(triton: Triton) -> None:
        facts = await _known(triton, name)
        # An ensemble is unloaded before the network it needs.
        served = protocol.served_by(name, facts["kind"])
        for model in dict.fromkeys((served, protocol.folder(name))):
            await triton.unload(model)

    with plain_errors():
        ask(settings.config, question)
    click.echo(f"{protocol.canonical(name)} is unloaded")


async def _known(triton: Triton, name: str) -> dict[str, Any]:
    networks = await triton.networks()
    if protocol.canonical(name) not in networks:
        raise click.UsageError(f"NAME is {name!r}; allowed: {', '.join(networks)}")
    return networks[protocol.canonical(name)]
