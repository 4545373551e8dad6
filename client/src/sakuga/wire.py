"""The contract between client and server: names of models, tensors and options.

Nothing here knows Triton or pictures. Client and server both read it, so a name or a range is
written once.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
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

UPSCALE = "upscale"  # the pipeline that serves every super-resolution network

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
    denoise: bool
    """Whether it takes DENOISE: it is an interpolation of two trained networks."""
    licence: str


class ImageAction(StrEnum):
    """What can be done to a picture."""

    UPSCALE = "upscale"
    REMBG = "rembg"
    FIX_ARTIFACTS = "fix_artifacts"
    ENHANCE = "enhance"


Format = Literal["png", "webp", "jpeg"]


class UpscaleOptions(BaseModel):
    """Options of `upscale`. An option that is left out takes the server's default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: Annotated[str | None, Field(description="the network, by name")] = None
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
    reference_alpha: Annotated[
        bool, Field(description="treat transparency as Real-ESRGAN does, fringes included")
    ] = False
    reference_resize: Annotated[
        bool, Field(description="reach scales under 4 as Real-ESRGAN does, without antialiasing")
    ] = False
    keep_metadata: Annotated[bool, Field(description="keep the ICC profile and EXIF")] = True
    format: Annotated[Format, Field(description="file format of the result")] = "png"
    quality: Annotated[
        int | None,
        Field(ge=1, le=100, description="of jpeg (95) and lossy webp (left out: lossless)"),
    ] = None


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
    if error["type"] == "extra_forbidden":
        return f"{prefix}{name!r} is unknown; allowed: {', '.join(kind.model_fields)}"
    allowed = _allowed(kind, str(error["loc"][-1])) if error["loc"] else "a mapping"
    return f"{prefix}{name!r} is {error['input']!r}; allowed: {allowed or error['msg']}"


def _allowed(kind: type[BaseModel], name: str) -> str:
    """What a field allows, in words; nothing where its type doesn't say."""
    field = kind.model_fields.get("denoise_strength" if name == "denoise" else name)
    if field is None:
        return ""
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
