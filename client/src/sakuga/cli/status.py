"""`sakuga status`: whether the server is ready, and what it has done."""

import click

from sakuga.cli.errors import plain_errors
from sakuga.cli.server import ask
from sakuga.cli.settings import Settings


@click.command()
@click.pass_obj
def status(settings: Settings) -> None:
    """Show whether the server is ready, and what each model has done."""
    with plain_errors():
        state = ask(settings.config, lambda triton: triton.status())
    ready = "ready" if state["ready"] else "not ready"
    click.echo(f"Triton {state['version']} at {state['url']}: {ready}")
    for name, done in state["models"].items():
        click.echo(
            f"{name:28} {done['requests']:6} requests  {done['failed']:4} failed  "
            f"{done['batches']:6} batches  {done['queue_ms']:8.1f} ms queued  "
            f"{done['compute_ms']:8.1f} ms computed"
        )
