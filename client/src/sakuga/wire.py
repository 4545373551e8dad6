"""The contract between client and server: names of models, tensors and options.

Nothing here knows Triton or pictures. Client and server both read it, so a name or a range is
written once.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from sakuga.errors import BadOption

# Tensors of the public models. All are BYTES of shape [1].
IMAGE = "IMAGE"  # an encoded picture file
OPTIONS = "OPTIONS"  # a JSON object, optional
RESULT = "RESULT"  # an encoded picture file
REPORT = "REPORT"  # a JSON object

# Tensors of the networks. Batches come first; heights and widths are free.
NET_IMAGE = "IMAGE"  # uint8 (B, H, W, 3), or (B, H, W, 6): high bytes, then low bytes, of 16 bits
NET_RESULT = "RESULT"  # uint8 (B, scale·H, scale·W, 3)
NET_RESULT_16 = "RESULT_16"  # int32 (B, scale·H, scale·W, 3) in 0…65535
NET_DENOISE = "DENOISE"  # uint8 (B, n), see `denoise_length`
NET_AUTHOR = "AUTHOR"  # uint8 (B, 1), see `CutoutFacts.author`
NET_MASK = "MASK"  # float32 (B, side, side), as the network predicts it: not normalised

UPSCALE = "upscale"  # the pipeline that serves every super-resolution network

# The ensembles `rembg_<net>`: REMBG_PREPARE, then the network, then ALPHA_MATTING.
REMBG_PREPARE = "rembg_prepare"
ALPHA_MATTING = "alpha_matting"
PICTURE = "PICTURE"  # uint8 (H, W, channels · bytes a sample), the decoded picture
JOB = "JOB"  # BYTES [1], a JSON object: what ALPHA_MATTING has to know of the request

ALIASES = {"realesrgan-anime-6b": "realesrgan-x4plus-anime"}

DENOISE_STEPS = 1000


def denoise_length(strength: float) -> int:
    """How long the tensor DENOISE is for a strength of 0 to 1, in thousandths.

    The strength travels as a *shape* because Triton joins requests into one batch only where their
    shapes agree: so pictures of different strengths never share a batch, and a batch needs the
    interpolated weights once.
    """
    return 1 + round(strength * DENOISE_STEPS)


def canonical(model: str) -> str:
    """A model's name as config.yaml and options write it, aliases resolved."""
    return ALIASES.get(model, model)


def folder(model: str) -> str:
    """The name of a model's folder in the repository: `realesrgan_x4plus_anime`."""
    return canonical(model).replace("-", "_")


def ensemble(model: str) -> str:
    """The public Triton model that cuts out by a network: `rembg_isnet_anime`."""
    return f"rembg_{folder(model)}"


def prepared(model: str) -> str:
    """REMBG_PREPARE's output for a network: `ISNET_ANIME`. It is asked for one of them only, and so
    knows which network the picture is for."""
    return folder(model).upper()


class NetworkFacts(BaseModel):
    """What server and client know of a super-resolution network; travels in `upscale`'s config."""

    model_config = ConfigDict(frozen=True)

    title: str
    """A line for a person: what it is, and what it is good at."""
    scale: int
    """How many times wider and higher its result is."""
    halo: int
    """Radius of its receptive field in pixels of the input: a tile with this much around it gives
    exactly what the whole picture gives."""
    side: int | None = None
    """Side of the only tile that it takes, in pixels of the input, and sees the whole of; None: it
    takes pictures of any size."""
    denoise: bool
    """Whether it takes DENOISE: it is an interpolation of two trained networks."""
    licence: str


class CutoutFacts(BaseModel):
    """What server and client know of a cut-out network; travels in `rembg_prepare`'s config."""

    model_config = ConfigDict(frozen=True)

    title: str
    """A line for a person: what it is, and what it is good at."""
    side: int
    """Side of the square that it sees, in pixels."""
    author: bool
    """Whether it takes AUTHOR: 1 asks for its author's arithmetic (pixels / 255, no mean), 0 for
    rembg's (pixels / the largest sample, less a mean, over a deviation)."""
    licence: str


class ImageAction(StrEnum):
    """What can be done to a picture."""

    UPSCALE = "upscale"
    REMBG = "rembg"
    FIX_ARTIFACTS = "fix_artifacts"
    ENHANCE = "enhance"


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


Options = TypeVar("Options", bound=PictureOptions)


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
    if error["type"] == "extra_forbidden":
        return f"{prefix}{name!r} is unknown; allowed: {', '.join(kind.model_fields)}"
    allowed = _allowed(kind, str(error["loc"][-1])) if error["loc"] else "a mapping"
    return f"{prefix}{name!r} is {error['input']!r}; allowed: {allowed or error['msg']}"


def _allowed(kind: type[BaseModel], name: str) -> str:
    """What a field allows, in words; nothing where its type doesn't say."""
    field = kind.model_fields.get("denoise_strength" if name == "denoise" else name)
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
