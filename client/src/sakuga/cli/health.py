"""`sakuga health`: whether every model of the server still gives pictures, for probes."""

import click

from sakuga.cli.errors import plain_errors
from sakuga.cli.server import ask
from sakuga.cli.settings import Settings
from sakuga.health import Check, check
from sakuga_core.errors import DeadlineExceeded

SECONDS = 20.0


@click.command()
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=SECONDS,
    show_default=True,
    help="seconds for each model; a slower one counts as busy, and healthy",
)
@click.pass_obj
def health(settings: Settings, timeout: float) -> None:
    """Send tiny pictures to each model of the server; exit with 1 if one fails.

    Each process of a model gets one, so dead processes are found. A Kubernetes probe can run
    this: a server that is merely busy counts as healthy.
    """
    config = settings.config
    config.server.retries = 0
    with plain_errors():
        checks = ask(config, lambda triton: check(triton, config, timeout))
    for each in checks:
        click.echo(f"{each.model:28} {_words(each)}")
    if faults := sum(each.is_fault for each in checks):
        raise click.ClickException(f"{faults} of {len(checks)} models failed")


def _words(check: Check) -> str:
    if check.error is None:
        return f"healthy, {check.seconds:.2f} s"
    if isinstance(check.error, DeadlineExceeded):
        return f"busy: no result within {check.seconds:.1f} s"
    return str(check.error)
