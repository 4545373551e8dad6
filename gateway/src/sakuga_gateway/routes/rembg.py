"""rembg's server, as `rembg s` starts it: its path, parameters and defaults."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator, Field, WithJsonSchema

from sakuga_core.actions import ACTIONS, ImageAction
from sakuga_gateway import answers, fields, problems, requests
from sakuga_gateway.context import Here, InPlace, Known

router = APIRouter(tags=["As rembg's server"])

PATH = "/api/remove"
FILE = "file"
problems.FORMS[PATH] = fields.as_fastapi


def _colour(value: Any) -> Any:
    """
    Raises:
        ValueError: it isn't red, green, blue and, if wanted, alpha.
    """
    if not isinstance(value, str):
        return value
    if not re.fullmatch(r"\s*\d{1,3}\s*(,\s*\d{1,3}\s*){2,3}", value, re.ASCII):
        raise ValueError("not a colour")
    numbers = [int(number) for number in value.split(",")]
    if max(numbers) > 255:
        raise ValueError("not a colour")
    return numbers


class Parameters(fields.Fields):
    """rembg's parameters, with its defaults: config.yaml's don't count here."""

    model: Annotated[str, Field(description="network")] = "u2net"
    a: Annotated[bool, Field(description="alpha matting")] = False
    af: Annotated[int, Field(ge=0, le=255, description="foreground threshold")] = 240
    ab: Annotated[int, Field(ge=0, le=255, description="background threshold")] = 10
    ae: Annotated[int, Field(ge=0, le=100, description="erode size")] = 10
    om: Annotated[bool, Field(description="the mask only")] = False
    ppm: Annotated[bool, Field(description="post-process the mask")] = False
    bgc: Annotated[
        list[int] | None,
        BeforeValidator(_colour),
        Field(
            examples=["red,green,blue,alpha, each of 0 to 255"],
            description="background colour: red,green,blue,alpha",
        ),
        WithJsonSchema({"type": "string"}),
    ] = None
    extras: Annotated[
        dict[str, Any],
        Field(
            examples=["a JSON object with options of /v1/rembg"],
            description="options of /v1/rembg, as a JSON object; they override the others",
        ),
        WithJsonSchema({"type": "string"}),
    ] = {}  # noqa: RUF012 - pydantic copies it


@router.post(
    PATH,
    summary="Remove the background",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
        **fields.failures(fields.FASTAPI_ERROR),
    },
    openapi_extra={"requestBody": fields.body(fields.FORM, kind=Parameters, file=fields.FILE)},
)
async def remove(request: Request, here: Here, caller: InPlace) -> Response:
    """The picture is the file `file` of a form. Parameters are fields of the form, or the query."""
    if fields.media_type(request) != fields.FORM:
        raise fields.invalid(
            ("body", FILE), f"{FILE!r} is missing; allowed: a form, `curl -F {FILE}=@a.png`"
        )
    sent = await requests.read(request, names=(FILE,))
    options = _options(fields.parsed(Parameters, sent.values))
    upload = sent.uploads[0]
    work = here.images.run(upload.data, ImageAction.REMBG, options)
    reply = await requests.while_connected(request, work)
    return answers.file_response(answers.answer_of(reply, upload.name))


def _options(given: Parameters) -> dict[str, Any]:
    """Parameters as options of ours.

    Raises:
        BadOption: one of `extras` is unknown or not allowed.
    """
    options = {
        "model": given.model,
        "alpha_matting": given.a,
        "alpha_matting_foreground_threshold": given.af,
        "alpha_matting_background_threshold": given.ab,
        "alpha_matting_erode_size": given.ae,
        "only_mask": given.om,
        "post_process_mask": given.ppm,
        "background_color": given.bgc,
        "format": "png",
        "animation": "first",
    }
    return requests.options_of(ACTIONS[ImageAction.REMBG], {**options, **given.extras})


@router.get(
    PATH,
    summary="Refused: the gateway fetches no URLs",
    response_class=Response,
    responses=fields.failures(fields.FASTAPI_ERROR),
)
async def remove_by_url(caller: Known) -> Response:
    """rembg's server fetches the picture at `url`; this one doesn't, as the URL may be of a machine
    that the caller can't reach."""
    raise problems.bad_request(
        f"a GET names a picture by its URL, and {fields.NO_URLS}: POST {PATH} with a form, "
        f"`curl -F {FILE}=@a.png`"
    )
