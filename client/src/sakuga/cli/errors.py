"""Errors on the command line."""

import difflib
import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

import click

from sakuga_core.errors import (
    BadInput,
    BadOption,
    ConfigError,
    ModelNotLoaded,
    Overloaded,
    PermissionDenied,
    SakugaError,
    ServerUnavailable,
)

REFUSED = 2  # exit status of a command that can't be carried out as it is given, as click has it
INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

_ALLOWED = re.compile(r"'([^']*)'; allowed: (.+)", re.DOTALL)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Our errors and the system's as one line and status 1, not a traceback."""
    try:
        yield
    except (SakugaError, OSError) as error:
        raise click.ClickException(sentence(error)) from None


class Refused(click.ClickException):
    """The command can't be carried out as it is given; nothing was begun."""

    exit_code = REFUSED


@contextmanager
def refusals() -> Iterator[None]:
    """What is wrong with the command itself as one line and status 2."""
    try:
        yield
    except BadInput as error:
        raise Refused(sentence(error)) from None


def sentence(error: Exception, about: str | None = None) -> str:
    """What is wrong, and what was probably meant.

    Args:
        error: ours, the system's or, as an internal error, any other one.
        about: a file that is named beside it anyway.
    """
    if isinstance(error, SakugaError):
        found = _ALLOWED.search(str(error))
        near = nearest(found[1], re.split(r", | or ", found[2])) if found else ""
        return f"{error}{near}"
    if not isinstance(error, OSError):
        words = " ".join(str(error).split())
        return ": ".join(filter(None, ("internal error", type(error).__name__, words)))
    reason = error.strerror or str(error) or type(error).__name__
    named = error.filename is not None and str(error.filename) != about
    return f"{printable(str(error.filename))}: {reason}" if named else reason


def nearest(value: str, allowed: list[str]) -> str:
    """`; did you mean 'x'?`, where an allowed value is near; else nothing."""
    lower = {name.lower(): name for name in reversed(allowed)}
    found = difflib.get_close_matches(value.lower().replace("_", "-"), lower, n=1, cutoff=0.6)
    # Some messages list the value itself, as an example of what isn't allowed.
    return f"; did you mean {lower[found[0]]!r}?" if found and lower[found[0]] != value else ""


def concerns_all(error: Exception) -> bool:
    """Whether every other picture of a command would fail for the same reason."""
    if isinstance(error, OSError):
        return error.errno in NO_ROOM
    if isinstance(error, BadOption):  # others depend on the picture, such as its size
        return str(error).startswith("option 'model'")
    lasting = (ConfigError, ModelNotLoaded, PermissionDenied, ServerUnavailable)
    return isinstance(error, lasting) and not isinstance(error, Overloaded)


def printable(text: str) -> str:
    """A text without what would move a terminal's cursor, or can't be encoded."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
