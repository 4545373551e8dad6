"""Logs as text or as JSON, with the id of the request that a line belongs to.

Every program of Sakuga's writes them by this: Triton's Python processes, the server around them and
the gateway.
"""

import json
import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal, TextIO

NOTHING: Mapping[str, Any] = MappingProxyType({})

LogFormat = Literal["text", "json"]

# Environment variable: the format for the processes that a server starts.
LOG_FORMAT = "SAKUGA_LOG_FORMAT"

# What an id may hold, so that one of a stranger's can stand in any log and header.
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")

# What every record has, apart from what a call adds by `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_request: ContextVar[str] = ContextVar("request", default="")


def new_id() -> str:
    """An id that no other request has."""
    return secrets.token_hex(8)


def known_id(text: str) -> str:
    """A caller's id; a new one where that is empty, too long, or has other letters than a log and a
    header take."""
    return text if _ID.fullmatch(text) else new_id()


def current_id() -> str:
    """The id of the request that is worked on; empty: none is."""
    return _request.get()


@contextmanager
def request_id(text: str = "") -> Iterator[str]:
    """Log lines written inside belong to that request, and pictures sent inside carry its id.

    Args:
        text: letters, digits and . _ : -, at most 64; otherwise a new id is made.
    """
    made = known_id(text)
    token = _request.set(made)
    try:
        yield made
    finally:
        _request.reset(token)


class JsonFormatter(logging.Formatter):
    """A line as a JSON object: time, level, logger and message; `request`, where it belongs to one;
    `error` with a traceback; and what the call adds by `extra`.

    Args:
        fields: of every line.
    """

    def __init__(self, **fields: str) -> None:
        super().__init__()
        self.fields = fields

    def format(self, record: logging.LogRecord) -> str:
        added = {name: each for name, each in vars(record).items() if name not in _OWN}
        if record.exc_info:
            added["error"] = self.formatException(record.exc_info)
        fields = {**self.fields, **added}
        return line(record.getMessage(), record.levelname, record.name, record.created, fields)


class TextFormatter(logging.Formatter):
    """A line as people read it, with the request's id at its end."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        first, *traceback = super().format(record).split("\n")
        about = f" (request {current_id()})" if current_id() else ""
        return "\n".join([first + about, *traceback])


def line(
    message: str,
    level: str = "INFO",
    logger: str = "sakuga",
    at: float | None = None,
    fields: Mapping[str, Any] = NOTHING,
) -> str:
    """A line of the log in JSON.

    Args:
        at: when: seconds since 1970; if unset, now.
        fields: what else there is to say.
    """
    time = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    about = {"time": time.isoformat(timespec="milliseconds"), "level": level, "logger": logger}
    about |= {"message": message} | ({"request": current_id()} if current_id() else {})
    return json.dumps({**about, **fields, **about}, default=str)  # fields replace nothing


def speaker(
    format: LogFormat, write: Callable[[str], object], level: str = "INFO"
) -> Callable[[str], object]:
    """Takes what a program has to say, as a line each, and writes it in a format."""
    return write if format == "text" else lambda text: write(line(text, level))


def set_up(format: LogFormat, stream: TextIO | None = None, **fields: str) -> None:
    """Has all loggers of this process write in one format, warnings of Python's included. In JSON
    there is also a line for each request that is done.

    Args:
        stream: where to; if unset, standard error.
        fields: of every line in JSON, such as the model.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(**fields) if format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("sakuga").setLevel(logging.INFO if format == "json" else logging.WARNING)
    logging.captureWarnings(True)


def set_up_in_child(stream: TextIO | None = None, **fields: str) -> None:
    """The same, in the format that the environment names: for a process that a server starts."""
    set_up("json" if os.environ.get(LOG_FORMAT) == "json" else "text", stream, **fields)
