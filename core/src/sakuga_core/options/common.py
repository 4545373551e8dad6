"""Options that every action has."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Format = Literal["png", "webp", "jpeg", "raw"]

KeepMetadata = Annotated[bool, Field(description="keep the ICC profile and EXIF metadata")]
FileFormat = Annotated[
    Format, Field(description="file format of the result; raw: its pixels, without a file")
]
Quality = Annotated[
    int | None,
    Field(
        ge=1, le=100, description="JPEG or WebP quality; default: 95 for jpeg, lossless for webp"
    ),
]


class PictureOptions(BaseModel):
    """Options of an action. An option that isn't set takes the server's default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: Annotated[str | None, Field(description="name of the network")] = None
