"""`sakuga serve`: a server on this machine until Ctrl-C."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sakuga_core.config.schema import Config

Say = Callable[[str], object]
AUTO, DEFAULT_PORT = "auto", 8001


@click.command()
@click.option("--port", type=int, help="port of gRPC  [default: that of server.url, or 8001]")
@click.pass_obj
def serve(settings: Any, port: int | None) -> None:
    """Run a Triton server on this machine until Ctrl-C. It applies edits of config.yaml."""
    import signal

    from sakuga_core.config.file import load_config
    from sakuga_core.errors import SakugaError
    from sakuga_core.logs import speaker

    # SIGTERM ends it like Ctrl-C; a shell's background job would ignore even that.
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, signal.default_int_handler)
    say: Say = click.echo
    try:
        config = settings.config if settings else load_config()
        say = speaker(config.server.log_format, click.echo)
        _serve(config, port or _port(config.server.url), say)
    except SakugaError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        pass  # while it started
    say("Stopped.")


def _serve(config: "Config", port: int, say: Say) -> None:
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
            say(line)
        say(f"Serving at {running.url}: {', '.join(running.models)}. Press Ctrl-C to stop.")
        try:
            restarting = running.supervisor.is_restarting
            follower = Follower(config, running.control, running.repository, say, restarting)
            status = asyncio.run(follower.follow(running.process))
            raise click.ClickException(f"Triton exited unexpectedly with status {status}")
        except KeyboardInterrupt:
            say("Finishing in-flight requests…")
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
