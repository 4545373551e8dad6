"""`sakuga serve`: a server on this machine until Ctrl-C."""

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sakuga_core.config.schema import Config

AUTO, DEFAULT_PORT = "auto", 8001


@click.command()
@click.option("--port", type=int, help="of gRPC; default: that of server.url, else 8001")
@click.pass_obj
def serve(settings: Any, port: int | None) -> None:
    """Run a Triton server on this machine until Ctrl-C; it follows config.yaml."""
    import signal

    from sakuga_core.config.file import load_config
    from sakuga_core.errors import SakugaError

    # SIGTERM ends it like Ctrl-C; a shell's background job would ignore even that.
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, signal.default_int_handler)
    try:
        config = settings.config if settings else load_config()
        _serve(config, port or _port(config.server.url))
    except SakugaError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        pass  # while it started
    click.echo("Stopped.")


def _serve(config: "Config", port: int) -> None:
    import asyncio
    from contextlib import suppress

    from sakuga_server import memory
    from sakuga_server.runtime import budget
    from sakuga_server.runtime.embedded import run_triton
    from sakuga_server.runtime.following import Follower, drain
    from sakuga_server.runtime.record import recorded

    # Once it is drained, only traces are left to send.
    is_traced = config.server.trace_url is not None
    with run_triton(config, port, finish=is_traced) as running, recorded(running):
        for line in budget.lines(config, running.models, memory.total()):
            click.echo(line)
        click.echo(f"Serving at {running.url}: {', '.join(running.models)}. Ctrl-C ends it.")
        try:
            restarting = running.supervisor.is_restarting
            follower = Follower(config, running.control, running.repository, click.echo, restarting)
            status = asyncio.run(follower.follow(running.process))
            raise click.ClickException(f"Triton ended by itself, with status {status}")
        except KeyboardInterrupt:
            click.echo("Finishing the requests in flight…")
        with suppress(KeyboardInterrupt):  # a second one doesn't wait for them
            asyncio.run(drain(running.control, config.server.exit_timeout))


def _port(url: str) -> int:
    """
    Raises:
        ClickException: server.url names no port.
    """
    if url == AUTO:
        return DEFAULT_PORT
    port = url.rpartition(":")[2]
    if not port.isdigit():
        raise click.ClickException(f"server.url is {url!r}; allowed: auto, or host:port")
    return int(port)
