"""AUTOMATIC1111's interface: its extras, which upscale."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sakuga import Reply
from sakuga_core.actions import ACTIONS, ImageAction
from sakuga_core.errors import BadOption, TooLarge
from sakuga_gateway import fields, problems, requests
from sakuga_gateway.context import Context, Here, InPlace
from sakuga_gateway.problems import Refusal
from sakuga_gateway.routes import automatic1111_lists
from sakuga_gateway.routes.automatic1111_lists import NAMES, NONE, networks

router = APIRouter(prefix="/sdapi/v1", tags=["As AUTOMATIC1111"])
router.include_router(automatic1111_lists.router)

RESPONSES = {200: fields.answer(), **fields.failures(fields.FASTAPI_ERROR)}

# What decodes a picture and leaves it as it is.
AS_IT_IS = {"detector": "none", "result": "regions", "format": "png", "animation": "first"}


def _refused(refusal: Refusal) -> JSONResponse:
    """An error as AUTOMATIC1111 has it: fields in a list, all else with the name of its class."""
    if isinstance(refusal.error, BadOption):
        return fields.as_fastapi(refusal)
    text = problems.plain(str(refusal.error))
    told = {"error": type(refusal.error).__name__, "detail": text, "body": "", "errors": text}
    return JSONResponse(told, refusal.status, headers=refusal.headers)


problems.FORMS["/sdapi/"] = _refused


def _zero(value: float) -> float:
    if value:
        raise ValueError("not supported")
    return value


NoFaces = Annotated[
    float, AfterValidator(_zero), Field(examples=["0, as no network restores faces"])
]


class Extras(BaseModel):
    """How pictures are to be upscaled. Unknown fields are ignored, which the answer says: clients
    send those of extensions."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    resize_mode: Annotated[
        Literal[0, 1], Field(examples=["0, by a factor", "1, to a size"], description="0 or 1")
    ] = 0
    show_extras_results: bool = True
    gfpgan_visibility: NoFaces = 0
    codeformer_visibility: NoFaces = 0
    codeformer_weight: Annotated[float, Field(ge=0, le=1)] = 0
    upscaling_resize: Annotated[float, Field(ge=1, le=16, description="scale factor")] = 2
    upscaling_resize_w: Annotated[int, Field(ge=1, description="width, for resize_mode 1")] = 512
    upscaling_resize_h: Annotated[int, Field(ge=1, description="height, for resize_mode 1")] = 512
    upscaling_crop: Annotated[bool, Field(description="exactly that size, for resize_mode 1")] = (
        True
    )
    upscaler_1: Annotated[str, Field(description="name of an upscaler")] = NONE
    upscaler_2: str = NONE
    extras_upscaler_2_visibility: Annotated[
        float, AfterValidator(_zero), Field(examples=["0, as two results aren't blended"])
    ] = 0
    upscale_first: bool = False


class Single(Extras):
    """One picture."""

    image: Annotated[str, Field(description="a picture file in base64, or a data URL")]


class FileData(BaseModel):
    """A picture of several."""

    data: str
    name: str = ""


class Batch(Extras):
    """Several pictures."""

    imageList: Annotated[list[FileData], Field(min_length=1)]  # noqa: N815 - its name there


@dataclass(frozen=True)
class Upscaler:
    """How the pictures of a request are upscaled."""

    here: Context
    request: Request
    given: Extras
    options: Mapping[str, Any]
    """Its network, and what that needs."""

    async def run(self, data: bytes) -> Reply:
        """One picture.

        Raises:
            SakugaError: it can't be upscaled as the request has it.
        """
        if self.given.upscaler_1 == NONE:
            return await self._reply(data, ImageAction.FIX_ARTIFACTS, AS_IT_IS)
        size = await self._size(data)
        options = {**self.options, **size, "format": "png", "animation": "first"}
        return await self._reply(data, ImageAction.UPSCALE, options)

    async def _reply(self, data: bytes, action: ImageAction, options: Mapping[str, Any]) -> Reply:
        checked = requests.options_of(ACTIONS[action], options)
        work = self.here.images.run(data, action, checked)
        return await requests.while_connected(self.request, work)

    async def _size(self, data: bytes) -> dict[str, Any]:
        """The option that says how large the result is.

        Raises:
            Invalid: the result would have to be cropped.
        """
        given = self.given
        if given.resize_mode == 0:
            return {"scale": given.upscaling_resize}
        reply = await self._reply(data, ImageAction.FIX_ARTIFACTS, AS_IT_IS)
        source = reply.report.get("input")
        if source is None:
            message = "'resize_mode' is 1, and a custom provider doesn't tell a picture's size"
            raise fields.invalid(("body", "resize_mode"), f"{message}; allowed: 0")
        return _covering(source["width"], source["height"], given)


def _covering(width: int, height: int, given: Extras) -> dict[str, Any]:
    """The option by which a result is as small as it can be and covers the size that is asked for.

    Args:
        width, height: of the picture.

    Raises:
        Invalid: the result would have to be cropped.
    """
    wanted = given.upscaling_resize_w, given.upscaling_resize_h
    if wanted[0] * height >= wanted[1] * width:
        option, result = {"width": wanted[0]}, (wanted[0], height * wanted[0] // width)
    else:
        option, result = {"height": wanted[1]}, (width * wanted[1] // height, wanted[1])
    if given.upscaling_crop and result != wanted:
        raise fields.invalid(
            ("body", "upscaling_crop"),
            f"'upscaling_crop' is true, and {width}x{height} becomes {result[0]}x{result[1]}, "
            f"which is no {wanted[0]}x{wanted[1]} without being cropped; allowed: false, or a size "
            "of the picture's own proportions",
        )
    return option


@router.post(
    "/extra-single-image",
    summary="Upscale a picture",
    response_class=JSONResponse,
    responses=RESPONSES,
    openapi_extra={"requestBody": fields.body(fields.JSON, kind=Single)},
)
async def single(request: Request, here: Here, caller: InPlace) -> Response:
    """A picture in base64, or as a data URL; the answer has a PNG in base64."""
    given = fields.parsed(Single, await fields.json_object(request))
    data = await fields.picture(given.image, ("body", "image"))
    reply = await (await _upscaler(request, here, given)).run(data)
    return JSONResponse({"html_info": _info(given, [reply]), "image": _text(reply)})


@router.post(
    "/extra-batch-images",
    summary="Upscale several pictures",
    response_class=JSONResponse,
    responses=RESPONSES,
    openapi_extra={"requestBody": fields.body(fields.JSON, kind=Batch)},
)
async def batch(request: Request, here: Here, caller: InPlace) -> Response:
    """Pictures one after another; where one can't be upscaled, none is sent."""
    given = fields.parsed(Batch, await fields.json_object(request))
    if len(given.imageList) > here.config.gateway.files:
        message = f"'imageList' has {len(given.imageList)} pictures; allowed: 1 to "
        raise fields.invalid(("body", "imageList"), f"{message}{here.config.gateway.files}")
    pictures = [
        await fields.picture(each.data, ("body", "imageList", number, "data"))
        for number, each in enumerate(given.imageList)
    ]
    upscaler = await _upscaler(request, here, given)
    replies, most = [], here.config.gateway.body_bytes
    for data in pictures:
        replies.append(await upscaler.run(data))
        if sum(len(reply.result) for reply in replies) > most:
            raise TooLarge(f"the results have over {most} bytes; allowed in one answer: {most}")
    return JSONResponse(
        {"html_info": _info(given, replies), "images": [_text(reply) for reply in replies]}
    )


async def _upscaler(request: Request, here: Context, given: Extras) -> Upscaler:
    """
    Raises:
        Invalid: there is no such upscaler.
    """
    names = {NONE: ("", {}), **NAMES}
    if given.upscaler_1 not in names:
        names |= {name: (name, {}) for name in await networks(here)}
    if given.upscaler_1 not in names:
        raise fields.invalid(
            ("body", "upscaler_1"),
            f"'upscaler_1' is {given.upscaler_1[:80]!r}; allowed: {', '.join(names)}",
        )
    model, options = names[given.upscaler_1]
    return Upscaler(here, request, given, {"model": model, **options})


def _text(reply: Reply) -> str:
    return base64.b64encode(reply.result).decode()


def _info(given: Extras, replies: list[Reply]) -> str:
    """What was done, as HTML."""
    lines = []
    for reply in replies:
        report = reply.report
        sides = [report.get(name) for name in ("input", "output")]
        sizes = " to ".join(f"{each['width']}x{each['height']}" for each in sides if each)
        lines.append(f"{NONE if given.upscaler_1 == NONE else report['model']}: {sizes}")
        lines += report["warnings"]
    if unknown := ", ".join(sorted(given.model_extra or {})):
        lines.append(f"Ignored: {ascii(unknown)[1:-1][:200]}")
    return "".join(f"<p>{escape(line)}</p>" for line in lines)
