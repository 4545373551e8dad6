"""Options of `upscale` and `enhance`."""

from typing import Annotated, Literal

from pydantic import AliasChoices, Field

from sakuga_core.options.common import FileFormat, KeepMetadata, PictureOptions, Quality


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
        Field(ge=32, le=2048, description="side of a tile in pixels of the input, padding apart"),
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
