"""`sakuga status`: whether the server is ready, and what it has processed."""

import click

from sakuga.cli.errors import plain_errors
from sakuga.cli.server import ask_any
from sakuga.cli.settings import Settings
from sakuga.transport import is_http


@click.command()
@click.pass_obj
def status(settings: Settings) -> None:
    """Show whether the server is ready, and what each model has processed."""
    with plain_errors():
        state = ask_any(settings.config, lambda server: server.status())
    ready = "ready" if state["ready"] else "not ready"
    name = "Gateway" if is_http(state["url"]) else f"Triton {state['version']}"
    click.echo(f"{name} at {state['url']}: {ready}")
    for name, done in state["models"].items():
        click.echo(
            f"{name:28} {done['requests']:6} requests  {done['failed']:4} failed  "
            f"{done['batches']:6} batches  {done['queue_ms']:8.1f} ms queued  "
            f"{done['compute_ms']:8.1f} ms computed"
        )
