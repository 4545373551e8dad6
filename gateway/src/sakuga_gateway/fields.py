"""Fields of requests as other tools' interfaces have them: JSON, pictures in base64, and errors
that name each field."""

import asyncio
import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from sakuga_core.errors import BadOption
from sakuga_core.options import explain
from sakuga_gateway import problems, schemas
from sakuga_gateway.problems import Refusal

JSON = "application/json"
FORM = "multipart/form-data"
NO_URLS = "the gateway fetches no URLs; send the picture itself"
_DATA_URL = re.compile(r"data:[\w.+-]*/?[\w.+-]*(;[\w.=+-]+)*,", re.ASCII)

Place = Sequence[int | str]
"""Where in a request a field is, as FastAPI has it: `("body", "input", "image")`."""


class Fields(BaseModel):
    """What an interface takes; another field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Kind = TypeVar("Kind", bound=BaseModel)


class Invalid(BadOption):
    """Fields that aren't as the interface has them.

    Args:
        found: one item each, as FastAPI has them: `type`, `loc` and `msg`.
    """

    def __init__(self, *found: dict[str, Any]) -> None:
        super().__init__("; ".join(each["msg"] for each in found))
        self.found = found


def invalid(place: Place, message: str, kind: str = "value_error") -> Invalid:
    """One field that isn't as the interface has it."""
    where = [_plain(part) for part in place]
    return Invalid({"type": kind, "loc": where, "msg": problems.plain(message)})


def _plain(part: int | str) -> int | str:
    """A part of a place as any encoding can have it; callers name their fields as they like."""
    return part if isinstance(part, int) else ascii(part)[1:-1][:80]


def parsed(kind: type[Kind], values: Mapping[str, Any], place: Place = ("body",)) -> Kind:
    """Values as an interface's fields.

    Raises:
        Invalid: naming each field, its value and what is allowed.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise Invalid(*(_item(kind, each, place) for each in error.errors())) from None


def _item(kind: type[BaseModel], error: ErrorDetails, place: Place) -> dict[str, Any]:
    where = (*place, *error["loc"])
    if error["type"] == "missing":  # pydantic has all other fields as its input
        return invalid(where, f"{'.'.join(map(str, error['loc']))!r} is missing", "missing").found[
            0
        ]
    return invalid(where, explain(kind, error, ""), error["type"]).found[0]


def media_type(request: Request) -> str:
    """The type of a body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_object(request: Request) -> dict[str, Any]:
    """The body of a request, a JSON object.

    Raises:
        Refusal: its type is another one.
        Invalid: it isn't one.
    """
    if (kind := media_type(request)) != JSON:
        raise problems.unsupported(f"Content-Type is {kind[:80]!r}; allowed: {JSON}")
    body = await request.body()
    try:
        value = await asyncio.to_thread(json.loads, body)  # pictures in it may be large
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise invalid(("body",), "the body isn't a JSON object", "json_invalid")
    return value


async def picture(text: str, place: Place) -> bytes:
    """A picture file in base64, or as a data URL.

    Raises:
        Invalid: it is neither.
    """
    name = place[-1]
    if found := _DATA_URL.match(text[:200]):
        if not found[0].endswith(";base64,"):
            raise invalid(place, f"{name!r} is a data URL without base64; allowed: with base64")
        text = text[found.end() :]
    elif "://" in text[:40]:
        raise invalid(place, f"{name!r} is a URL; allowed: base64, or a data URL, as {NO_URLS}")
    data = await asyncio.to_thread(_decoded, text)  # which may be large
    if not data:
        about = "isn't base64" if text else "is empty"
        raise invalid(place, f"{name!r} {about}; allowed: a picture file in base64, or a data URL")
    return data


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        return b""


def data_url(data: bytes, kind: str) -> str:
    """A file as a data URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def as_fastapi(refusal: Refusal) -> JSONResponse:
    """An error as servers on FastAPI have it: fields in a list, all else as a sentence."""
    error = refusal.error
    if not isinstance(error, BadOption):
        text = problems.plain(str(error))
        return JSONResponse({"detail": text}, refusal.status, headers=refusal.headers)
    return JSONResponse({"detail": items(error)}, 422, headers=refusal.headers)


def items(error: BadOption) -> list[dict[str, Any]]:
    """The fields that an error names, as FastAPI has them."""
    return list((error if isinstance(error, Invalid) else invalid(("body",), str(error))).found)


FILE = {"type": "string", "format": "binary", "description": "a picture file"}
BASE64 = {"type": "string", "description": "a picture file in base64, or a data URL"}


def body(*contents: str, kind: type[BaseModel], **pictures: dict[str, str]) -> dict[str, Any]:
    """The body of a request for OpenAPI.

    Args:
        contents: media types that it may have.
        kind: its fields.
        pictures: more fields, which are pictures; where there is one, it has to be there.
    """
    schema = schemas.inlined(kind)
    schema["properties"] = {**pictures, **schema["properties"]}
    if len(pictures) == 1:
        schema["required"] = [*schema.get("required", ()), *pictures]
    return {"required": True, "content": {each: {"schema": schema} for each in contents}}


def answer(kind: str = "object", about: str = "the answer") -> dict[str, Any]:
    """An answer in JSON for OpenAPI."""
    return {"description": about, "content": {JSON: {"schema": {"type": kind}}}}


def failures(schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The errors of an interface for OpenAPI."""
    content = {JSON: {"schema": schema}}
    return {
        "4XX": {"description": "the request isn't taken; the text says why", "content": content},
        "5XX": {"description": "the server failed, or is busy or stopping", "content": content},
    }


FASTAPI_ERROR = {
    "type": "object",
    "properties": {"detail": {"description": "a sentence, or a list of fields"}},
    "required": ["detail"],
}
