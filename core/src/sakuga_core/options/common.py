"""Options that every action has."""

import base64
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
)

from sakuga_core.formats import ALIASES

Format = Literal[
    "auto", "png", "jpeg", "webp", "gif", "avif", "tiff", "bmp", "tga", "qoi", "heic", "jxl", "raw"
]


def _format(value: Any) -> Any:
    return ALIASES.get(value.lower(), value.lower()) if isinstance(value, str) else value


KeepMetadata = Annotated[
    bool,
    Field(description="keep the file's EXIF, XMP, IPTC, texts, resolution and colour profile"),
]
FileFormat = Annotated[
    Format | None,
    BeforeValidator(_format),
    Field(
        description="file format of the result; auto: the input's, if it can hold the result; "
        "raw: the pixels, not a file; default: png, for animated pictures auto"
    ),
]
Quality = Annotated[
    int | None,
    Field(
        ge=1,
        le=100,
        description="quality of JPEG, WebP, AVIF, HEIC and JPEG XL; default: 95 for jpeg, 90 for "
        "heic, the best of avif, lossless for webp and jxl",
    ),
]
Lossless = Annotated[
    bool | None,
    Field(
        description="lossless WebP, JPEG XL, HEIC or gray AVIF; default: on for webp and jxl if "
        "quality isn't set"
    ),
]
Animation = Annotated[
    Literal["all", "first"],
    Field(description="frames or pages to process: all, or only the first"),
]


def _file(value: Any) -> Any:
    """A file's bytes; text is decoded as base64."""
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


Mask = Annotated[
    bytes | None,
    BeforeValidator(_file),
    PlainSerializer(lambda data: data and base64.b64encode(data).decode(), when_used="json"),
]
"""A second picture file, of the size of the first."""
MASK_ALLOWED = "a picture file as bytes, in JSON as base64"


class PictureOptions(BaseModel):
    """Options of an action. An option that isn't set takes the server's default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: Annotated[str | None, Field(description="name of the network")] = None
    format: FileFormat = None
    quality: Quality = None
    lossless: Lossless = None
    animation: Animation = "all"
    keep_metadata: KeepMetadata = True

    @property
    def adds_alpha(self) -> bool:
        """Whether the result of an opaque picture is transparent."""
        return False

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_values(cls, value: Any, info: ValidationInfo) -> Any:
        """
        Raises:
            ValueError: true or false stands for a number, as which Python counts them.
        """
        kind = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and bool not in (kind, *get_args(kind)):
            raise ValueError("true and false aren't numbers")
        return value
