"""The page of the errors, from their classes."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from sakuga_core import errors
from sakuga_core.errors import SakugaError, is_retryable
from sakuga_gateway.schemas import MEANINGS
from sitepages.markdown import code, page, sentence, table, text

ABOUT = """# Errors

Every error that Sakuga raises on purpose is a class below `SakugaError`, which the package `sakuga`
exports. Over gRPC it travels as a status and the text `ClassName: message`, over HTTP as [problem
details](https://www.rfc-editor.org/rfc/rfc9457) whose `error` is the name of the class; the
[protocol](protocol.md#errors) has both. The client raises the same class again.

*Retried*: the client sends the picture again by itself, up to
[`server.retries`](config.md#server.retries) times within
[`server.timeout`](config.md#server.timeout). An indented class is a subclass of the one
above it."""

HTTP = """## HTTP statuses {#http}

A gateway answers with the status of the class, or with one of these, which HTTP itself has a
meaning for:"""

_LINE = re.compile(r"^(?P<tree>[│├└─ ]*)(?P<name>[A-Z]\w+) +[A-Z_]+ +\d{3}  (?P<meaning>.+)$", re.M)


class Described(NamedTuple):
    """A class, and what its module says of it."""

    kind: type[SakugaError]
    meaning: str


def described() -> Iterator[Described]:
    """Every class of errors, in the order of the tree."""
    for found in _LINE.finditer(str(errors.__doc__)):
        kind = errors.by_name(found["name"])
        assert kind is not None, found["name"]
        yield Described(kind, found["meaning"])


def errors_page() -> str:
    """The table of all classes."""
    head = ("class", "meaning", "gRPC", "HTTP", "retried", "what to do")
    statuses = ((code(str(status)), text(meaning)) for status, meaning in MEANINGS.items())
    return page(
        ABOUT,
        table(head, (_row(*each) for each in described())),
        HTTP,
        table(("status", "meaning"), statuses),
    )


def _row(kind: type[SakugaError], meaning: str) -> tuple[str, ...]:
    depth = len(kind.__mro__) - len(SakugaError.__mro__) - 1
    return (
        "&nbsp;" * 4 * depth + code(kind.__name__, kind.__name__),
        sentence(meaning),
        code(kind.status),
        str(kind.http_status),
        "yes" if is_retryable(kind("")) else "no",
        sentence(kind.remedy),
    )
