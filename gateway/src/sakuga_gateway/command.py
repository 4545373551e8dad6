"""`sakuga web`: HTTP on this machine until Ctrl-C."""

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sakuga_core.config.schema import Config


@click.command()
@click.option("--host", help="address to listen on  [default: gateway.host, or 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="port  [default: gateway.port, or 8080]",
)
@click.option("--no-auth", is_flag=True, help="serve other machines without keys")
@click.option("--browser/--no-browser", default=None, help="open the page  [default: on a desktop]")
@click.option("--new-key", metavar="NAME", help="print a new key and its line for config.yaml")
@click.pass_obj
def web(
    settings: Any,
    host: str | None,
    port: int | None,
    no_auth: bool,
    browser: bool | None,
    new_key: str,
) -> None:
    """Serve the web page and the HTTP interface until Ctrl-C. /docs has the documentation.

    If no server answers on this machine, the embedded Triton is started.
    """
    from sakuga_core.config.file import load_config
    from sakuga_core.errors import SakugaError

    try:
        if new_key:
            click.echo(_new_key(new_key))
            return
        config = settings.config if settings else load_config()
        if host:
            config.gateway.host = host
        if port:
            config.gateway.port = port
        _check_keys(config, no_auth)
        _serve(config, _has_desktop() if browser is None else browser)
    except SakugaError as error:
        raise click.ClickException(str(error)) from None


def _new_key(name: str) -> str:
    import secrets

    from sakuga_core.config.gateway import GatewayKey
    from sakuga_core.options import parse_options
    from sakuga_gateway.access import digest

    key = secrets.token_urlsafe(32)
    row = parse_options(GatewayKey, {"name": name, "sha256": digest(key)})
    return (
        f"The key (it isn't stored, so keep it): {key}\n"
        f"For gateway.keys in config.yaml: - {{name: {row.name}, sha256: {row.sha256}}}"
    )


def _check_keys(config: "Config", no_auth: bool) -> None:
    """
    Raises:
        ConfigError: other machines could call without a key.
    """
    from sakuga_core.errors import ConfigError
    from sakuga_gateway.access import is_local

    settings = config.gateway
    if not (is_local(settings.host) or settings.keys or no_auth):
        raise ConfigError(
            f"gateway.host is {settings.host!r}, which other machines can reach, and gateway.keys "
            "is empty; `sakuga web --new-key NAME` prints a key, `--no-auth` serves without keys"
        )


def _has_desktop() -> bool:
    """Whether somebody sits before it: the command is typed, and a browser has where to open."""
    import os
    import sys

    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.stdout.isatty() and any(os.environ.get(name) for name in displays)


def _serve(config: "Config", browser: bool) -> None:
    import uvloop

    from sakuga_core import logs

    logs.set_up(config.gateway.log_format)
    if not uvloop.run(_run(config, browser)):
        raise click.ClickException("the gateway didn't start; see the error above")
    logs.speaker(config.gateway.log_format, click.echo)("Stopped.")


async def _run(config: "Config", browser: bool) -> bool:
    """Serves until a signal; whether it could."""
    import webbrowser

    from sakuga_core.logs import speaker
    from sakuga_gateway.app import opened
    from sakuga_gateway.serving import Server

    settings = config.gateway
    address = f"http://{_shown(settings.host)}:{settings.port}"
    async with opened(config) as app:
        line = f"Serving at {address}, documented at {address}/docs. Press Ctrl-C to stop."

        def started() -> None:
            speaker(settings.log_format, click.echo)(line)
            if browser:
                webbrowser.open(address)

        server = Server(app, settings, started)
        await server.serve()
        return server.started


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
