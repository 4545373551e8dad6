"""The options of every action: their names, ranges, defaults and errors.

Client and server both read them, so a range is written once; the commands' flags follow from them.
"""

import base64
import re
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails

from sakuga.errors import BadOption

SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 80  # a mask may be megabytes long

Format = Literal["png", "webp", "jpeg"]


# Options that every action has.
KeepMetadata = Annotated[bool, Field(description="keep the ICC profile and EXIF")]
FileFormat = Annotated[Format, Field(description="file format of the result")]
Quality = Annotated[
    int | None,
    Field(ge=1, le=100, description="of jpeg (95) and lossy webp (left out: lossless)"),
]


class PictureOptions(BaseModel):
    """Options of an action. An option that is left out takes the server's default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: Annotated[str | None, Field(description="the network, by name")] = None


class UpscaleOptions(PictureOptions):
    """Options of `upscale` and `enhance`."""

    scale: Annotated[
        float | None, Field(ge=1, le=4, description="how many times wider and higher; 2.5 works")
    ] = None
    denoise_strength: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            validation_alias=AliasChoices("denoise_strength", "denoise"),
            description="0 keeps the grain, 1 removes it; realesr-general-x4v3 only",
        ),
    ] = None
    tile_size: Annotated[
        int | None,
        Field(ge=32, le=2048, description="side of a tile in pixels of the input, halo apart"),
    ] = None
    overlapping_tiles: Annotated[
        bool, Field(description="aura-sr-v2 only: let tiles overlap, which hides their seams")
    ] = True
    overlap: Annotated[
        Literal["window", "reference"],
        Field(description="how: by one pass without seams, or by AuraSR's own two passes"),
    ] = "window"
    reference_alpha: Annotated[
        bool, Field(description="treat transparency as Real-ESRGAN does, fringes included")
    ] = False
    reference_resize: Annotated[
        bool, Field(description="reach scales under 4 as Real-ESRGAN does, without antialiasing")
    ] = False
    keep_metadata: KeepMetadata = True
    format: FileFormat = "png"
    quality: Quality = None


def _colour(value: Any) -> Any:
    """A colour as `#rrggbbaa`."""
    if isinstance(value, list | tuple) and len(value) in (3, 4):
        if all(type(v) is int and 0 <= v <= 255 for v in value):
            return "#" + bytes([*value, 255][:4]).hex()
    elif isinstance(value, str) and re.fullmatch("#([0-9a-fA-F]{3}){1,2}|#[0-9a-fA-F]{8}", value):
        digits = value[1:].lower()
        return "#" + (digits if len(digits) > 3 else "".join(d * 2 for d in digits)).ljust(8, "f")
    elif value is None:
        return None
    raise ValueError("not a colour")


class RembgOptions(PictureOptions):
    """Options of `rembg`; the defaults are the rembg library's."""

    alpha_matting: Annotated[
        bool, Field(description="refine soft edges: hair, fur, glow, antialiased lines")
    ] = False
    alpha_matting_foreground_threshold: Annotated[
        int,
        Field(
            ge=0,
            le=300,
            description="mask over this is certainly figure; from 255 on, only "
            "where the network is fully certain",
        ),
    ] = 240
    alpha_matting_background_threshold: Annotated[
        int, Field(ge=0, le=255, description="mask under this is certainly background")
    ] = 10
    alpha_matting_erode_size: Annotated[
        int, Field(ge=0, le=100, description="pixels by which what is certain shrinks")
    ] = 10
    matting: Annotated[
        Literal["fast", "pymatting"],
        Field(description="who refines: ours, or the PyMatting library"),
    ] = "fast"
    preprocess: Annotated[
        Literal["rembg", "author"],
        Field(
            description="isnet-anime sees the picture stretched as rembg does, or letterboxed as "
            "its author does"
        ),
    ] = "rembg"
    post_process_mask: Annotated[
        bool, Field(description="a smooth mask, black and white, without specks")
    ] = False
    only_mask: Annotated[bool, Field(description="give the network's mask, not the cut-out")] = (
        False
    )
    background_color: Annotated[
        str | None,
        BeforeValidator(_colour),
        Field(
            examples=[
                "#rgb",
                "#rrggbb",
                "#rrggbbaa",
                "[red, green, blue]",
                "[red, green, blue, alpha] of 0 to 255",
            ],
            description="lay the cut-out over a colour",
        ),
        WithJsonSchema({"type": ["string", "array", "null"], "items": {"type": "integer"}}),
    ] = None
    estimate_foreground: Annotated[
        bool, Field(description="under soft edges, take the background out of the colours")
    ] = True
    premultiplied: Annotated[
        bool, Field(description="multiply colours by alpha as rembg does, dark edges included")
    ] = False
    reference_thresholds: Annotated[
        bool, Field(description="as rembg, skip the matting where no mask exceeds the threshold")
    ] = False
    keep_metadata: KeepMetadata = True
    format: FileFormat = "png"
    quality: Quality = None


Phase = Annotated[int, Field(ge=0, le=7)]
Box = tuple[int, int, Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class Region(BaseModel):
    """A part of a picture that needs something done, in pixels of the upright picture."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["jpeg", "banding", "speck", "user"] = "user"
    """What is wrong: blocks of a JPEG; a gradient in too few levels; a dot that doesn't belong
    there; or whatever the caller wants painted anew."""
    box: Box
    """x, y, width, height."""
    score: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How bad, or how certain, from 0 to 1."""
    method: str = "caller"
    """Who found it."""
    quality: Annotated[int | None, Field(ge=1, le=100)] = None
    """Of kind jpeg: libjpeg's quality whose quantisation tables are nearest."""
    grid: tuple[Phase, Phase] | None = None
    """Of kind jpeg, in pixels: x and y, modulo 8, of the corners of its blocks; None: it is the
    file's own compression."""


def _region(value: Any) -> Any:
    """A region as a mapping; four numbers are the box of one."""
    return {"box": value} if isinstance(value, list | tuple) and len(value) == 4 else value


def _file(value: Any) -> Any:
    """A file's bytes, out of base64 where it comes as text."""
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


Detectors = Literal["auto", "jpeg", "banding", "speck", "none"]
Inpainting = Literal["auto", "migan", "lama-anime", "opencv", "none"]


class FixArtifactsOptions(UpscaleOptions):
    """Options of `fix_artifacts`: of what is found and undone, and those of the enlarging."""

    detector: Annotated[
        Detectors, Field(description="what to look for; none: only the regions given")
    ] = "auto"
    regions: Annotated[
        list[Annotated[Region, BeforeValidator(_region)]] | None,
        Field(
            examples=["a list of [x, y, width, height] with a size of at least 1, or of regions"],
            description="X,Y,WIDTH,HEIGHT of the picture to paint anew; may be given several times",
        ),
    ] = None
    mask: Annotated[
        bytes | None,
        BeforeValidator(_file),
        PlainSerializer(lambda data: data and base64.b64encode(data).decode(), when_used="json"),
        Field(
            examples=["a picture file as bytes, in JSON as base64"],
            description="a picture of the same size, white where to paint anew",
        ),
    ] = None
    inpaint: Annotated[
        Inpainting, Field(description="who paints; auto: a network for what is wide")
    ] = "auto"
    restore: Annotated[
        bool, Field(description="undo JPEG blocks and banding before the network")
    ] = True
    hold_to_file: Annotated[
        bool, Field(description="keep enlarged lines within what a JPEG says of them")
    ] = True
    result: Annotated[
        Literal["enlarged", "restored", "regions"],
        Field(
            description="enlarged: all of it; restored: mended, of its own size; regions: the "
            "picture as it came, with what was found drawn over it"
        ),
    ] = "enlarged"


Options = TypeVar("Options", bound=BaseModel)


def parse_options(kind: type[Options], values: Mapping[str, Any]) -> Options:
    """`values` as `kind`.

    Raises:
        BadOption: naming the option, the value and what is allowed.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise BadOption("; ".join(explain(kind, e, "option ") for e in error.errors())) from None


def explain(kind: type[BaseModel], error: ErrorDetails, prefix: str) -> str:
    """One validation error as a sentence that names the field, the value and what is allowed."""
    name = ".".join(str(part) for part in error["loc"]) or "the whole"
    if error["type"] in ("extra_forbidden", "no_such_attribute"):
        return f"{prefix}{name!r} is unknown; allowed: {', '.join(kind.model_fields)}"
    allowed = _allowed(kind, error["loc"]) if error["loc"] else "a mapping"
    value = SHORT.repr(error["input"])
    return f"{prefix}{name!r} is {value}; allowed: {allowed or error['msg']}"


def _allowed(kind: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """What a field allows, in words; nothing where its type doesn't say."""
    names = ["denoise_strength" if name == "denoise" else str(name) for name in location]
    field = kind.model_fields.get(names[-1]) or kind.model_fields.get(names[0])
    if field is None:
        return ""
    if field.examples:
        return ", ".join(field.examples)
    kinds = [k for k in get_args(field.annotation) or (field.annotation,) if k is not type(None)]
    if isinstance(kinds[0], str):
        return ", ".join(kinds)
    word = {bool: "true or false", str: "text", int: "a whole number", float: "a number"}
    ends = [
        f"{say} {getattr(constraint, end)}"
        for end, say in (("ge", "from"), ("gt", "over"), ("le", "to"))
        for constraint in field.metadata
        if hasattr(constraint, end)
    ]
    return " ".join([word.get(kinds[0], ""), *ends]).strip()
