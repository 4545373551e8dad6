"""What callers send: pictures and options, as a multipart form, or as the body and the query."""

import asyncio
import json
import logging
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile

from sakuga_core.actions import Action
from sakuga_core.errors import BadOption
from sakuga_core.options import parse_options
from sakuga_gateway import problems

# Warns of every malformed form, of which its caller is told anyway.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

T = TypeVar("T")

MAX_FIELDS = 100  # of a form besides its files, of the query, and of the options
MAX_REGIONS = 1000
NAME_LENGTH = 255  # that the name of a file may have, as file systems have it
PICTURE = "image"  # the field of a form that is the picture
OPTIONS = "options"  # the field, or part of the query, that has all options as a JSON object
# Bodies of these types are no pictures; curl's --data-binary sends a form's for any file.
_NOT_PICTURES = ("application/json", "text/", "application/xml", "multipart/")


@dataclass(frozen=True)
class Upload:
    """A picture file that a caller sends."""

    name: str
    """As the caller has it, without what isn't text; never the name of a file here."""
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Sent:
    """What a request brings."""

    uploads: list[Upload]
    values: Mapping[str, Any]
    """Options, and whatever else the route takes."""


async def read(request: Request, files: int = 1, names: Iterable[str] = (PICTURE,)) -> Sent:
    """Reads the pictures and values of a request.

    Args:
        request: with a multipart form, or a picture as its body.
        files: the most pictures it may have; one more file may be a `mask`.
        names: the fields of the form that pictures may have.

    Raises:
        Refusal: it is malformed, has none, or too many.
        BadOption: `options` is no JSON object.
        TooLarge: it has too many bytes.
    """
    query = _values(request.query_params.multi_items())
    kind = _kind(request.headers)
    if kind == "multipart/form-data":
        uploads, values = await _form(request, files, tuple(names))
        return Sent(uploads, {**query, **values})
    if kind.startswith(_NOT_PICTURES):
        raise problems.unsupported(
            f"Content-Type is {kind[:80]!r}; allowed: multipart/form-data with a file "
            f"{PICTURE!r}, or the type of the picture that the body is"
        )
    data = await request.body()
    if not data:
        raise problems.bad_request(
            f"the request has no picture; allowed: a multipart form with a file {PICTURE!r}, or "
            "the picture as the body"
        )
    return Sent([Upload("", data)], query)


def _kind(headers: Headers) -> str:
    """The media type of a body.

    Raises:
        Refusal: its text isn't UTF-8.
    """
    kind, parameters = parse_options_header(headers.get("content-type"))
    charset = parameters.get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower() not in ("utf-8", "utf8", "us-ascii"):
        raise problems.unsupported(f"the charset of the body is {charset[:40]!r}; allowed: utf-8")
    return kind.decode("latin-1")


async def _form(
    request: Request, files: int, names: tuple[str, ...]
) -> tuple[list[Upload], dict[str, Any]]:
    form = await request.form(max_files=files + 1, max_fields=MAX_FIELDS)
    try:
        return await _read_form(form, files, names)
    finally:
        await form.close()


async def _read_form(
    form: FormData, files: int, names: tuple[str, ...]
) -> tuple[list[Upload], dict[str, Any]]:
    uploads, values = [], []
    for name, value in form.multi_items():
        if name in names:
            uploads.append(await _upload(name, value))
        else:
            values.append((name, await value.read() if isinstance(value, UploadFile) else value))
    if not uploads or len(uploads) > files:
        allowed = f"1 to {files}" if files > 1 else "1"
        raise problems.bad_request(
            f"the form has {len(uploads)} files {names[0]!r}; allowed: {allowed}"
        )
    return uploads, _values(values)


async def _upload(name: str, value: UploadFile | str) -> Upload:
    if not isinstance(value, UploadFile):
        raise problems.bad_request(
            f"the field {name!r} is text; allowed: a file, as `curl -F {name}=@a.png` sends it"
        )
    return Upload(_name(value.filename or ""), await value.read())


def _name(sent: str) -> str:
    """The name of a file, of which forms escape what a header can't have."""
    for escape in ("%22", "%0D", "%0A"):
        sent = sent.replace(escape, "")
    return "".join(filter(str.isprintable, sent))[-NAME_LENGTH:]


def _values(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Fields as values: empty ones count as left out, repeated ones are a list, and those of
    `options` stand beside the others.

    Raises:
        Refusal: they are too many.
        BadOption: `options` is no JSON object.
    """
    if len(items) > MAX_FIELDS:
        raise problems.bad_request(f"there are {len(items)} fields; allowed: up to {MAX_FIELDS}")
    values: dict[str, Any] = {}
    whole: dict[str, Any] = {}
    for name, text in items:
        if name == OPTIONS:
            whole = json_object(text, OPTIONS)
        elif text not in ("", b""):
            value = _parsed(text)
            values[name] = [*_as_list(values[name]), value] if name in values else value
    return {**whole, **values}


def _as_list(value: Any) -> list[Any]:
    return (
        value
        if isinstance(value, list) and value and isinstance(value[0], list | dict)
        else [value]
    )


def _parsed(text: Any) -> Any:
    """A list or object from its JSON; any other text as it is, which the options' types read."""
    if isinstance(text, str) and text.lstrip()[:1] in ("[", "{"):
        with suppress(ValueError, RecursionError):
            return json.loads(text)
    return text


def json_object(text: str | bytes, name: str) -> dict[str, Any]:
    """
    Raises:
        BadOption: it is no JSON object.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadOption(f"{name!r} isn't a JSON object")
    return value


def options_of(action: Action, values: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an action, checked, as JSON values; those that aren't set are left out.

    Raises:
        BadOption: one is unknown or not allowed.
    """
    values = dict(values)
    if len(values) > MAX_FIELDS:
        raise BadOption(f"there are {len(values)} options; allowed: up to {MAX_FIELDS}")
    if isinstance(regions := values.get("regions"), str | dict):
        values["regions"] = [regions]
    if isinstance(values.get("regions"), list):
        values["regions"] = _boxes(values["regions"])
    parsed = parse_options(action.options, values)
    return parsed.model_dump(mode="json", exclude_unset=True)


def _boxes(regions: list[Any]) -> list[Any]:
    """Regions as `x,y,width,height`, beside those in JSON.

    Raises:
        BadOption: they are too many.
    """
    if len(regions) > MAX_REGIONS:
        raise BadOption(f"option 'regions' has {len(regions)}; allowed: up to {MAX_REGIONS}")
    if len(regions) == 4 and all(isinstance(each, int) for each in regions):
        return [regions]
    return [each.split(",") if isinstance(each, str) else each for each in regions]


def wants(headers: Headers, *types: str) -> bool:
    """Whether a caller asks for one of these media types by its Accept."""
    accepted = [each.partition(";")[0].strip() for each in headers.get("accept", "").split(",")]
    return any(each in types for each in accepted)


def prefers_async(headers: Headers) -> bool:
    """Whether a caller would rather have a job than wait (RFC 7240)."""
    preferences = ",".join(headers.getlist("prefer")).split(",")
    return any(each.partition(";")[0].strip() == "respond-async" for each in preferences)


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives; it is cancelled when the caller goes.

    Raises:
        Refusal: the caller has gone.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise problems.gone()
        return task.result()
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
