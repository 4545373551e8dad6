"""`sakuga models`: the networks of the server."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import click

from sakuga.cli.errors import plain_errors
from sakuga.cli.lines import complain
from sakuga.cli.measure import measure
from sakuga.cli.server import ask, ask_any
from sakuga.cli.settings import Settings
from sakuga.transport import Transport
from sakuga.triton import Triton
from sakuga_core import protocol
from sakuga_core.errors import ConfigError, ModelNotInstalled, ModelNotLoaded
from sakuga_core.networks.choices import choices
from sakuga_core.networks.licences import fits
from sakuga_core.networks.registry import PURPOSES

Facts = dict[str, Any]

OF_TRITON = ("device", "speed", "calls")  # of a network, which a gateway doesn't tell


@click.group(invoke_without_command=True)
@click.option("--measure", "measured", is_flag=True, help="measure the speed of loaded networks")
@click.option("--licence", help="only this licence: permissive, or an SPDX name such as MIT")
@click.option(
    "--for",
    "purpose",
    type=click.Choice(list(PURPOSES)),
    help="only good choices for this purpose",
)
@click.option("--json", "as_json", is_flag=True, help="print everything as JSON")
@click.pass_context
def models(
    context: click.Context, measured: bool, licence: str | None, purpose: str | None, as_json: bool
) -> None:
    """List the networks of the server: whether they are exported and loaded, and what they need."""
    if context.invoked_subcommand:
        return
    with plain_errors():
        wanted = partial(_wanted, licence=licence, purpose=purpose)
        networks = ask_any(context.obj.config, lambda server: _listed(server, wanted, measured))
    found = choices(networks)
    if measured and not any(facts["speed"] for facts in networks.values()):
        complain("nothing was measured, as none of these is loaded: `sakuga models load NAME`")
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    width = max(map(len, found), default=0)
    for name, facts in found.items():
        click.echo(f"{name:{width}}  {_state(facts)}")
        for line in _about(facts):
            click.echo(f"{'':{width}}  {line}")


def _wanted(
    networks: Mapping[str, Facts], licence: str | None, purpose: str | None
) -> dict[str, Facts]:
    """
    Raises:
        UsageError: no network has that licence.
    """
    found = {n: f for n, f in networks.items() if not licence or fits(f["licence"], licence)}
    if not found:
        there = sorted({facts["spdx"] for facts in networks.values() if facts["spdx"]})
        raise click.UsageError(f"--licence is {licence!r}; allowed: permissive, {', '.join(there)}")
    return {n: f for n, f in found.items() if not purpose or purpose in f["good_for"]}


def _about(facts: Mapping[str, Any]) -> Iterator[str]:
    """What it is good at, its denoise levels, its licence, whether it was tried, and the loaded
    networks of a family."""
    good_for = f" (for {', '.join(facts['good_for'])})" if facts["good_for"] else ""
    yield facts["title"] + good_for
    levels = facts["denoise_levels"].items()
    if listed := "; ".join(f"at {scale}x {', '.join(each)}" for scale, each in levels):
        yield f"denoise levels: {listed}"
    commercial = {True: "yes", False: "no", None: "not stated"}[facts["commercial"]]
    yield f"{facts['licence']}; commercial use: {commercial}; {facts['source']}"
    if not facts.get("tried", True):
        yield "not tried on its published weights"
    for name, member in facts.get("networks", {}).items():
        if member["loaded"]:
            yield ", ".join([name, *_of_triton(member)])


async def _listed(
    server: Transport, wanted: Callable[[Mapping[str, Facts]], dict[str, Facts]], measured: bool
) -> dict[str, Facts]:
    networks = wanted(await server.networks())
    if isinstance(server, Triton):
        await _complete(server, networks, measured)
        return networks
    if measured:
        raise ConfigError(
            f"--measure needs Triton itself, and {server.url} is a gateway; allowed: auto, or "
            "host:port of Triton's gRPC"
        )
    return {name: {**facts, **dict.fromkeys(OF_TRITON)} for name, facts in networks.items()}


async def _complete(triton: Triton, networks: dict[str, Facts], measured: bool) -> None:
    """Adds to networks what Triton alone tells."""
    for name, facts in networks.items():
        facts |= {"device": None, "speed": None}
        if facts["loaded"]:
            with suppress(ModelNotLoaded):  # any more
                facts["device"] = await triton.device(protocol.folder(name))
                facts["speed"] = await measure(triton, name, facts) if measured else None
    statistics = (await triton.status())["models"]
    for name, facts in networks.items():
        facts["calls"] = statistics.get(protocol.folder(name))


def _state(facts: Mapping[str, Any]) -> str:
    """Whether it is exported and loaded, and what it needs, in a line."""
    kind = ", ".join(f"{scale}x" for scale in facts["scales"]) or facts["kind"]
    if not facts["installed"]:
        return f"not exported  {kind}"
    if not facts["loaded"]:
        return f"not loaded  {kind}, {facts['megabytes']} MB on disk"
    memory = [] if facts["memory"] is None else [f"{facts['memory']} MB"]
    if members := facts.get("networks"):
        loaded = sum(member["loaded"] for member in members.values())
        return f"loaded  {', '.join([kind, *memory, f'{loaded} of {len(members)} networks'])}"
    return f"loaded  {', '.join([kind, *memory, *_of_triton(facts)])}"


def _of_triton(facts: Mapping[str, Any]) -> Iterator[str]:
    """What Triton tells of a network that is loaded."""
    calls = facts["calls"]
    if facts["device"]:
        yield f"on {facts['device']}"
    if calls and calls["requests"]:
        yield f"{calls['compute_ms']:.0f} ms a call over {calls['requests']} calls"
    if facts["speed"]:
        yield facts["speed"]


@models.command()
@click.argument("name")
@click.pass_obj
def load(settings: Settings, name: str) -> None:
    """Load a network, or all exported networks of a family."""

    async def question(triton: Triton) -> None:
        networks = await _known(triton, name)
        installed = [each for each, facts in networks.items() if facts["installed"]]
        if not installed:
            raise ModelNotInstalled.exportable(name)
        for each in installed:
            for model in _models(each, networks[each]):
                await triton.load(model)

    with plain_errors():
        ask(settings.config, question)
    click.echo(f"{protocol.canonical(name)} is loaded")


@models.command()
@click.argument("name")
@click.pass_obj
def unload(settings: Settings, name: str) -> None:
    """Unload a network, or a family, after its in-flight requests."""

    async def question(triton: Triton) -> None:
        for each, facts in (await _known(triton, name)).items():
            for model in _models(each, facts):
                await triton.unload(model)

    with plain_errors():
        ask(settings.config, question)
    click.echo(f"{protocol.canonical(name)} is unloaded")


def _models(network: str, facts: Mapping[str, Any]) -> list[str]:
    """The Triton models of a network: its own, and for background removal its ensemble."""
    ensemble = [protocol.ensemble(network)] if facts["kind"] == "segment" else []
    return [protocol.folder(network), *ensemble]


async def _known(triton: Triton, name: str) -> dict[str, dict[str, Any]]:
    """The networks that a name stands for: one, or those of a family."""
    networks, wanted = await triton.networks(), protocol.canonical(name)
    found = {each: f for each, f in networks.items() if wanted in (each, f["family"])}
    if not found:
        raise click.UsageError(f"NAME is {name!r}; allowed: {', '.join(choices(networks))}")
    return found
