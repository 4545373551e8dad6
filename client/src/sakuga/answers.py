"""What a gateway answers: results with their reports, problems (RFC 9457), and events of a job."""

import json
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from email.message import Message
from http import HTTPStatus
from io import BytesIO
from typing import Any, NamedTuple

from sakuga.reply import Reply
from sakuga_core import errors
from sakuga_core.errors import SakugaError

PARTS = "multipart/form-data"  # a picture, then its report

# Of answers that aren't a gateway's: a proxy before it sends them.
_BY_STATUS = {
    401: errors.PermissionDenied,
    403: errors.PermissionDenied,
    413: errors.TooLarge,
    429: errors.Overloaded,
    502: errors.ServerUnavailable,
    503: errors.ServerUnavailable,
    504: errors.DeadlineExceeded,
}


def error_of(status: int, body: bytes, url: str) -> SakugaError:
    """The error for an answer that isn't a success.

    Args:
        status: HTTP's.
        body: of the answer.
        url: the gateway.
    """
    error = problem(_object(body))
    if error is None:
        return _BY_STATUS.get(status, errors.ServerError)(f"{url} answered {_words(status)}")
    if status == 401:
        return errors.PermissionDenied(
            f"{url} needs a key, or doesn't know this one; allowed: the argument `key`, or "
            "SAKUGA_KEY in the environment"
        )
    if status == 404 and not isinstance(error, errors.ModelNotLoaded):
        return errors.ServerError(
            f"{url} answered 404, {error}; allowed: a gateway, `sakuga web`, or several with one "
            "store, gateway.jobs"
        )
    return error


def problem(details: Mapping[str, Any]) -> SakugaError | None:
    """The error of problem details; None, if they aren't a gateway's."""
    kind = errors.by_name(details.get("error"))
    return kind(str(details.get("detail"))) if kind else None


def _object(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _words(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def json_of(body: bytes, url: str) -> dict[str, Any]:
    """An answer that is a JSON object.

    Raises:
        ServerError: it is something else.
    """
    if values := _object(body):
        return values
    raise _foreign(url, "no JSON object")


class Parts:
    """The parts of an answer, taken as they come: the picture, of which memory has one copy, then
    its report.

    Args:
        content_type: of the answer.
        url: of the gateway.

    Raises:
        ServerError: the answer has no parts.
    """

    def __init__(self, content_type: str, url: str) -> None:
        head = Message()
        head["content-type"] = content_type
        boundary = head.get_boundary()
        if boundary is None:
            raise _foreign(url, content_type or "no Content-Type")
        self._url, self._mark = url, f"\r\n--{boundary}".encode()
        self._head, self._file = b"", BytesIO()
        self._in_picture = False

    def add(self, data: bytes) -> None:
        """Takes the next bytes."""
        if not self._in_picture:
            self._head += data
            _, end, data = self._head.partition(_BLANK)
            self._in_picture = bool(end)
        self._file.write(data)

    def reply(self) -> Reply:
        """The picture and its report, once all bytes are there.

        Raises:
            ServerError: they aren't those.
        """
        # A BytesIO that is cut off gives its own memory, where a slice would be a copy.
        whole = self._file.getvalue()
        end = whole.rfind(self._mark + b"\r\n")
        text = whole[max(end, 0) :].partition(_BLANK)[2].rpartition(self._mark)[0]
        report = _object(text)
        if end < 0 or not report:
            raise _foreign(self._url, "parts without a report")
        del whole
        self._file.truncate(end)
        return Reply(self._file.getvalue(), report)


_BLANK = b"\r\n\r\n"  # between the head of a part and its content


def _foreign(url: str, found: str) -> SakugaError:
    return errors.ServerError(f"{url} answered with {found}, which is no answer of a gateway")


class Event(NamedTuple):
    """What happened to a job."""

    kind: str
    data: dict[str, Any]
    id: str


async def events(lines: AsyncIterable[str]) -> AsyncGenerator[Event, None]:
    """Server-sent events, each as soon as it is whole.

    Args:
        lines: of a stream, without their ends.
    """
    fields: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")  # a comment has no name
            continue
        if "data" in fields:
            data = _object(fields["data"].encode())
            yield Event(fields.get("event", ""), data, fields.get("id", ""))
        fields = {}
