"""remove.bg's interface, version 1.0."""

import base64
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from starlette.datastructures import FormData, UploadFile

from sakuga_core.actions import ACTIONS, ImageAction
from sakuga_core.errors import BadImage, BadOption, Overloaded, PermissionDenied, TooLarge
from sakuga_gateway import answers, fields, problems, requests
from sakuga_gateway.context import Here, InPlace
from sakuga_gateway.problems import Refusal

router = APIRouter(tags=["As remove.bg"])

PATH = "/v1.0/removebg"
NOTES = "Sakuga-Notes"  # a header that tells what of a request has no effect
FILE, BASE64, URL = "image_file", "image_file_b64", "image_url"
_URLENCODED = "application/x-www-form-urlencoded"

# Megapixels that remove.bg's results have at most.
SIZES = {
    **dict.fromkeys(("preview", "small", "regular"), 0.25),
    **{"medium": 1.5, "hd": 4.0, "4k": 10.0, "50MP": 50.0},
}
# CSS 2.1's names. The colour itself is the option's own form.
COLOURS = {
    **{"black": "000000", "silver": "c0c0c0", "gray": "808080", "white": "ffffff"},
    **{"maroon": "800000", "red": "ff0000", "purple": "800080", "fuchsia": "ff00ff"},
    **{"green": "008000", "lime": "00ff00", "olive": "808000", "yellow": "ffff00"},
    **{"navy": "000080", "blue": "0000ff", "teal": "008080", "aqua": "00ffff"},
    **{"orange": "ffa500"},
}


def _colour(value: Any) -> Any:
    """
    Raises:
        ValueError: it isn't a colour.
    """
    text = COLOURS.get(str(value).lower(), str(value)).removeprefix("#")
    if not re.fullmatch("([0-9a-fA-F]{3}){1,2}|[0-9a-fA-F]{8}", text):
        raise ValueError("not a colour")
    return f"#{text}"


def _only(allowed: bool) -> AfterValidator:
    """What a switch must be."""

    def check(value: bool) -> bool:
        if value != allowed:
            raise ValueError("not supported")
        return value

    return AfterValidator(check)


NotSent = Annotated[None, Field(examples=["none, as a colour alone can be the background"])]


class Parameters(fields.Fields):
    """remove.bg's parameters."""

    size: Annotated[
        Literal["auto", "preview", "small", "regular", "medium", "hd", "full", "4k", "50MP"],
        Field(description="no effect: results always have the picture's own size"),
    ] = "auto"
    type: Annotated[
        Literal["auto", "person", "product", "car", "animal", "graphic", "transportation", "other"],
        Field(description="no effect: one network sees all types"),
    ] = "auto"
    type_level: Annotated[Literal["none", "1", "2", "latest"], Field(description="no effect")] = (
        "none"
    )
    format: Annotated[
        Literal["auto", "png", "jpg", "webp"],
        Field(description="auto: jpg with an opaque bg_color, else png"),
    ] = "auto"
    channels: Annotated[
        Literal["rgba", "alpha"], Field(description="alpha: the mask instead of the picture")
    ] = "rgba"
    bg_color: Annotated[
        str | None,
        BeforeValidator(_colour),
        Field(
            examples=[f"hexadecimal rgb, rrggbb or rrggbbaa, or {', '.join(COLOURS)}"],
            description="background colour: hexadecimal digits, or a name",
        ),
        WithJsonSchema({"type": "string", "example": "2f7d5b"}),
    ] = None
    crop: Annotated[
        bool, _only(False), Field(examples=["false, as results keep the picture's size"])
    ] = False
    crop_margin: Annotated[Any, Field(description="no effect without crop")] = None
    scale: Literal["original"] = "original"
    position: Literal["original"] = "original"
    roi: Annotated[
        Literal["0% 0% 100% 100%"], Field(examples=["0% 0% 100% 100%, the whole picture"])
    ] = "0% 0% 100% 100%"
    add_shadow: Annotated[bool, _only(False), Field(examples=["false, as none are drawn"])] = False
    shadow_type: Literal["none"] = "none"
    shadow_opacity: Annotated[Any, Field(description="no effect without a shadow")] = None
    semitransparency: Annotated[bool, _only(True), Field(examples=["true"])] = True
    bg_image_url: NotSent = None
    bg_image_file: NotSent = None


_ERROR = {
    "type": "object",
    "properties": {
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"title": {"type": "string"}, "code": {"type": "string"}},
                "required": ["title", "code"],
            },
        }
    },
    "required": ["errors"],
}


def refused(refusal: Refusal) -> JSONResponse:
    """An error as remove.bg has it."""
    error = refusal.error
    if isinstance(error, BadOption):
        found = [
            {"title": each["msg"], "code": _SOURCES.get(each["type"], "invalid_parameter")}
            for each in fields.items(error)
        ]
    else:
        found = [{"title": problems.plain(str(error)), "code": _code(refusal)}]
    status = {401: 403, 422: 400}.get(refusal.status, refusal.status)
    return JSONResponse({"errors": found}, status, headers=refusal.headers)


_SOURCES = {code: code for code in ("missing_source", "multiple_sources", "invalid_image_url")}
_CODES = {
    BadImage: "invalid_image",
    TooLarge: "image_too_large",
    PermissionDenied: "auth_failed",
    Overloaded: "rate_limit_exceeded",
}


def _code(refusal: Refusal) -> str:
    named = _CODES.get(type(refusal.error))
    return str(named or ("server_error" if refusal.status >= 500 else "bad_request"))


problems.FORMS["/v1.0/"] = refused

_PICTURES = {FILE: fields.FILE, BASE64: fields.BASE64}
_FORM = fields.body(fields.FORM, kind=Parameters, **_PICTURES)
_TEXT = fields.body(fields.JSON, _URLENCODED, kind=Parameters, image_file_b64=fields.BASE64)


@router.post(
    PATH,
    summary="Remove the background",
    response_class=Response,
    responses={
        200: {
            "description": "the picture; with `Accept: application/json` in base64",
            "content": {
                "image/*": {"schema": {"type": "string", "format": "binary"}},
                fields.JSON: {"schema": {"type": "object"}},
            },
        },
        **fields.failures(_ERROR),
    },
    openapi_extra={"requestBody": {**_FORM, "content": {**_FORM["content"], **_TEXT["content"]}}},
)
async def remove(request: Request, here: Here, caller: InPlace) -> Response:
    """The picture is the file `image_file` of a form, or `image_file_b64`, in base64, of a form or
    of a JSON object."""
    name, data, values = await _read(request, here.config.limits.input_bytes)
    given = fields.parsed(Parameters, values)
    work = here.images.run(data, ImageAction.REMBG, _options(given))
    reply = await requests.while_connected(request, work)
    answer = answers.answer_of(reply, name)
    headers = _headers(given, reply.report.get("output", {}))
    if requests.wants(request.headers, fields.JSON):
        text = base64.b64encode(answer.data).decode()
        return JSONResponse({"data": {"result_b64": text}}, headers=headers)
    response = answers.file_response(answer)
    response.headers.update(headers)
    return response


async def _read(request: Request, most: int) -> tuple[str, bytes, dict[str, Any]]:
    """Name and bytes of the picture, and the parameters.

    Args:
        most: bytes that a picture may have.

    Raises:
        Refusal: the request is malformed.
        Invalid: it has no picture, several, or a URL.
    """
    if fields.media_type(request) not in (fields.FORM, _URLENCODED):
        values = await fields.json_object(request)
        return await _sent({n: value for n, value in values.items() if value not in (None, "")})
    form = await request.form(
        max_files=2, max_fields=requests.MAX_FIELDS, max_part_size=int(1.4 * most)
    )
    try:
        return await _sent(await _values(form))
    finally:
        await form.close()


async def _values(form: FormData) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name in values:
            raise _no_source(f"{ascii(name)[:80]} is sent twice; allowed: once", "multiple_sources")
        if isinstance(value, UploadFile):
            values[name] = requests.Upload(value.filename or "", await value.read())
        elif value:
            values[name] = value
    return values


async def _sent(values: Mapping[str, Any]) -> tuple[str, bytes, dict[str, Any]]:
    sources = [name for name in (FILE, BASE64, URL) if name in values]
    if len(sources) != 1:
        code = "multiple_sources" if sources else "missing_source"
        given = " and ".join(sources) or "no picture"
        raise _no_source(f"the request has {given}; allowed: {FILE} or {BASE64}", code)
    source = values[sources[0]]
    rest = {name: value for name, value in values.items() if name not in sources}
    if sources == [URL]:
        raise _no_source(f"{URL!r} isn't taken: {fields.NO_URLS}", "invalid_image_url")
    if sources == [FILE] and isinstance(source, requests.Upload) and source.data:
        return source.name, source.data, rest
    if sources == [BASE64] and isinstance(source, str):
        return "", await fields.picture(source, ("body", BASE64)), rest
    wanted = "a file of a form that isn't empty" if sources == [FILE] else "a text in base64"
    raise _no_source(f"{sources[0]!r} has no picture; allowed: {wanted}", "missing_source")


def _no_source(message: str, code: str) -> fields.Invalid:
    return fields.invalid(("body",), message, code)


def _options(given: Parameters) -> dict[str, Any]:
    """Parameters as options of ours."""
    colour, alone = given.bg_color, given.channels == "alpha"
    opaque = colour is not None and (len(colour) < 9 or colour.lower().endswith("ff"))
    automatic = "jpeg" if opaque and not alone else "png"
    options = {
        "only_mask": alone,
        "background_color": colour,
        "format": automatic if given.format == "auto" else given.format,
        "animation": "first",
    }
    return requests.options_of(ACTIONS[ImageAction.REMBG], options)


def _headers(given: Parameters, output: Mapping[str, Any]) -> dict[str, str]:
    """What remove.bg tells of a result, and what of the request had no effect."""
    headers = {"X-Credits-Charged": "0"}
    if "width" in output:  # a custom provider tells none
        headers |= {"X-Width": str(output["width"]), "X-Height": str(output["height"])}
    notes = _notes(given, output.get("width", 0) * output.get("height", 0))
    return {**headers, NOTES: "; ".join(notes)} if notes else headers


def _notes(given: Parameters, pixels: int) -> list[str]:
    """What of a request had no effect on a result of so many pixels."""
    notes = []
    if given.size in SIZES and pixels > SIZES[given.size] * 1e6:
        notes.append(f"size {given.size} has no effect: the result has the picture's own size")
    if given.type != "auto":
        notes.append("type has no effect: one network sees all types")
    if given.type_level != "none":
        notes.append("type_level has no effect: no type is told")
    return notes
