"""The commands of whoever runs a server: `serve`, `models`, `status`, `config`."""

import asyncio
import importlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from sakuga.cli.measure import measure
from sakuga.custom_provider import CustomProvider
from sakuga.triton import ADMIN_KEY, Triton
from sakuga_core import protocol
from sakuga_core.actions import ImageAction
from sakuga_core.config.provenance import settings
from sakuga_core.config.schema import Config, json_schema
from sakuga_core.errors import ConfigError, ModelNotInstalled, SakugaError
from sakuga_core.paths import cache_folder
from sakuga_core.protocol import canonical

LOCAL = ("localhost", "127.0.0.1")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Our errors as one line and status 1, not a traceback."""
    try:
        yield
    except SakugaError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def server_for(
    config: Config, embedded: bool, action: ImageAction, options: Mapping[str, Any]
) -> Iterator[str]:
    """The address to send pictures to; `embedded` starts a server for so long, with what the
    action needs."""
    if not embedded:
        yield config.server.url
        return
    server = _module("sakuga_server.embedded")
    _refresh_repository(config)
    theirs = getattr(config.providers.image, action).provider  # which may do anything
    models = [] if theirs else _needed(config, action, options)
    with server.run_triton(config, server.free_port(), models=models) as running:
        yield running.url


def _needed(config: Config, action: ImageAction, options: Mapping[str, Any]) -> list[str]:
    known = {name: value for name, value in options.items() if name == "model"}
    model = getattr(config, f"{action}_options")(known)["model"]
    needed: list[str] = _module("sakuga_server.placement").needed(config, action, model)
    return needed


@click.command()
@click.option("--port", type=int, help="of gRPC; left out, that of server.url")
@click.pass_obj
def serve(config: Config, port: int | None) -> None:
    """Run a Triton server on this machine until Ctrl-C; it follows config.yaml."""
    # SIGTERM ends it like Ctrl-C; a shell's background job would ignore even that.
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, signal.default_int_handler)
    with plain_errors():
        server = _module("sakuga_server.embedded")
        _refresh_repository(config)
        with server.run_triton(config, port or _port(config)) as running, _key_kept(running):
            click.echo(f"Serving at {running.url}: {', '.join(running.models)}. Ctrl-C ends it.")
            try:
                status = asyncio.run(_follow(config, running))
                raise click.ClickException(f"Triton ended by itself, with status {status}")
            except KeyboardInterrupt:
                click.echo("Finishing the pictures in hand…")
            with suppress(KeyboardInterrupt):  # a second one is for those in a hurry
                asyncio.run(_drain(config, running))
        click.echo("Stopped.")


async def _follow(config: Config, running: Any) -> int:
    kind = _module("sakuga_server.following").Follower
    async with Triton(config.server, running.key, running.url) as triton:
        follower = kind(config, triton, lambda: _refresh_repository(config), click.echo)
        return int(await follower.follow(running.process))


async def _drain(config: Config, running: Any) -> None:
    async with Triton(config.server, running.key, running.url) as triton:
        await _module("sakuga_server.following").drain(triton, config.server.exit_timeout)


def _key_file(port: str) -> Path:
    return cache_folder() / "keys" / port


@contextmanager
def _key_kept(running: Any) -> Iterator[None]:
    """The server's key where this user alone can read it, for `sakuga models load`."""
    file = _key_file(running.url.rpartition(":")[2])
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(running.key)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _key(config: Config) -> str | None:
    """That of the environment, else of a server that this user started here."""
    host, _, port = config.server.url.rpartition(":")
    file = _key_file(port)
    if ADMIN_KEY not in os.environ and host in LOCAL and file.exists():
        return file.read_text()
    return os.environ.get(ADMIN_KEY)


@click.group(invoke_without_command=True)
@click.option("--measure", "measured", is_flag=True, help="measure the speed of those loaded")
@click.option("--json", "as_json", is_flag=True, help="print all of it as JSON")
@click.pass_context
def models(context: click.Context, measured: bool, as_json: bool) -> None:
    """List every network the server knows: exported and loaded or not, and what it takes."""
    if context.invoked_subcommand:
        return
    with plain_errors():
        networks = asyncio.run(_ask(context.obj, lambda triton: _listed(triton, measured)))
    if as_json:
        click.echo(json.dumps(networks, indent=2))
        return
    width = max(map(len, networks))
    for name, facts in networks.items():
        click.echo(f"{name:{width}}  {_state(facts)}")
        click.echo(f"{'':{width}}  {facts['title']}")
        click.echo(f"{'':{width}}  {facts['licence']}; {facts['source']}")


async def _listed(triton: Triton, measured: bool) -> dict[str, dict[str, Any]]:
    networks = await triton.networks()
    for name, facts in networks.items():
        loaded = facts["loaded"]
        facts["device"] = await triton.device(protocol.folder(name)) if loaded else None
        facts["speed"] = await measure(triton, name, facts) if loaded and measured else None
    done = (await triton.status())["models"]
    for name, facts in networks.items():
        facts["calls"] = done.get(protocol.folder(name))
    return networks


def _state(facts: Mapping[str, Any]) -> str:
    """Whether it is there, and what it takes, in a line."""
    kind = f"{facts['scale']}x" if facts["scale"] else facts["kind"]
    if not facts["installed"]:
        return f"not exported  {kind}"
    if not facts["loaded"]:
        return f"not loaded  {kind}, {facts['megabytes']} MB on disk"
    parts = [kind, f"on {facts['device']}"]
    if facts["memory"] is not None:
        parts.append(f"{facts['memory']} MB")
    if facts["calls"] and facts["calls"]["requests"]:
        mean, count = facts["calls"]["compute_ms"], facts["calls"]["requests"]
        parts.append(f"{mean:.0f} ms a call over {count} calls")
    return f"loaded  {', '.join([*parts, *filter(None, [facts['speed']])])}"


@models.command()
@click.argument("name")
@click.pass_obj
def load(config: Config, name: str) -> None:
    """Load the network NAME."""

    async def ask(triton: Triton) -> None:
        facts = await _known(triton, name)
        if not facts["installed"]:
            raise ModelNotInstalled.exportable(name)
        await triton.load(protocol.served_by(name, facts["kind"]))

    with plain_errors():
        asyncio.run(_ask(config, ask))
    click.echo(f"{canonical(name)} is loaded")


@models.command()
@click.argument("name")
@click.pass_obj
def unload(config: Config, name: str) -> None:
    """Unload the network NAME, once the pictures it has are done."""

    async def ask(triton: Triton) -> None:
        facts = await _known(triton, name)
        # An ensemble goes before the network it needs.
        for model in dict.fromkeys(
            (protocol.served_by(name, facts["kind"]), protocol.folder(name))
        ):
            await triton.unload(model)

    with plain_errors():
        asyncio.run(_ask(config, ask))
    click.echo(f"{canonical(name)} is unloaded")


async def _known(triton: Triton, name: str) -> dict[str, Any]:
    networks = await triton.networks()
    if canonical(name) not in networks:
        raise click.UsageError(f"NAME is {name!r}; allowed: {', '.join(networks)}")
    return networks[canonical(name)]


@click.command()
@click.pass_obj
def status(config: Config) -> None:
    """Show whether the server is ready, and what each model has done."""
    with plain_errors():
        state = asyncio.run(_ask(config, lambda triton: triton.status()))
    ready = "ready" if state["ready"] else "not ready"
    click.echo(f"Triton {state['version']} at {state['url']}: {ready}")
    for name, done in state["models"].items():
        click.echo(
            f"{name:28} {done['requests']:6} requests  {done['failed']:4} failed  "
            f"{done['batches']:6} batches  {done['queue_ms']:8.1f} ms queued  "
            f"{done['compute_ms']:8.1f} ms computed"
        )


async def _ask(config: Config, question: Callable[[Triton], Any]) -> Any:
    async with Triton(config.server, _key(config)) as triton:
        return await question(triton)


@click.group()
def config() -> None:
    """Check config.yaml, show what is in effect, print its JSON Schema."""


@config.command()
@click.pass_obj
def check(config: Config) -> None:
    """Fail if config.yaml can't be used as it is."""
    with plain_errors():
        problems = list(_problems(config))
    if problems:
        raise click.ClickException("\n".join(problems))
    click.echo(f"{config.source.file if config.source else 'the defaults'}: good")


def _problems(config: Config) -> Iterator[str]:
    """What reading the file can't see: names of networks, and of providers."""
    kinds = _kinds_of_networks(config)
    place = config.source.place if config.source else str
    for path, model, kind in _named(config):
        allowed = [name for name in kinds if kind in (None, kinds[name])]
        if kinds and canonical(model) not in allowed:
            yield f"{place(path)}: {path!r} is {model!r}; allowed: {', '.join(allowed)}"
    for action in ImageAction:
        if getattr(config.providers.image, action.value).provider:
            try:
                CustomProvider(config, Triton(config.server), action)
            except SakugaError as error:
                yield f"{place(f'providers.image.{action.value}.provider')}: {error}"


def _kinds_of_networks(config: Config) -> dict[str, str]:
    """What each network does, as the exporter knows, or else the server; nothing without both."""
    try:
        listings = _module("sakuga_export.repository").known(config)
        return {name: row.kind for name, row in listings.items()}
    except click.ClickException:
        pass
    try:
        networks = asyncio.run(_ask(config, lambda triton: triton.networks()))
    except SakugaError:
        click.echo("names of networks aren't checked: no server answers", err=True)
        return {}
    return {name: facts["kind"] for name, facts in networks.items()}


def _named(config: Config) -> Iterator[tuple[str, str, str | None]]:
    """Each network that config.yaml names: its path there, its name, what it has to do."""
    image = config.providers.image
    blocks = {f"providers.image.{name}": getattr(image, name) for name in type(image).model_fields}
    blocks |= {name: getattr(config, name) for name in ("realesrgan", "aurasr", "rembg")}
    for path, block in blocks.items():
        if block.model and not getattr(block, "provider", None):
            kind = "segment" if path.endswith("rembg") else "upscale"
            yield f"{path}.model", block.model, kind
    for name in config.server.networks:
        yield f"server.networks.{name}", name, None
    if config.server.preload != "all":
        yield from (("server.preload", name, None) for name in config.server.preload)


@config.command()
@click.pass_obj
def show(config: Config) -> None:
    """Print every setting in effect, and where it comes from, as a config.yaml."""
    with plain_errors():
        lines = list(settings(config))
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
    """Print the JSON Schema of config.yaml, by which editors complete and check it."""
    click.echo(json.dumps(json_schema(), indent=2))


def _module(name: str) -> ModuleType:
    """A module of a package that the client is used without, too."""
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0].replace("_", "-")
        extra = "[embedded]" if package == "sakuga-server" else ""
        raise click.ClickException(
            f"{package} isn't installed; `pip install '{package}{extra}'`"
        ) from None


def _refresh_repository(config: Config) -> None:
    """Brings config.pbtxt files up to config.yaml, where the package that writes them is here.

    Raises:
        ConfigError: a network of one's own isn't described as it should be, or nobody may write.
    """
    try:
        repository, placing = map(_module, ("sakuga_export.repository", "sakuga_export.placing"))
    except click.ClickException:
        return
    try:
        written = repository.write(config.server.repository, config)
    except (placing.ExportError, OSError) as error:
        raise ConfigError(f"the repository can't be brought up to config.yaml: {error}") from error
    for file in written:
        click.echo(f"config.yaml changed: wrote {file}", err=True)


def _port(config: Config) -> int:
    _, _, port = config.server.url.rpartition(":")
    if not port.isdigit():
        raise click.ClickException(f"server.url is {config.server.url!r}; allowed: host:port")
    return int(port)


COMMANDS = (serve, models, status, config)
