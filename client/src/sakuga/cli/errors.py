"""Errors on the command line."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from sakuga_core.errors import SakugaError


@contextmanager
def plain_errors() -> Iterator[None]:
    """Our errors as one line and status 1, not a traceback."""
    try:
        yield
    except SakugaError as error:
        raise click.ClickException(str(error)) from None
