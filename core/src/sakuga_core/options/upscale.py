"""Options of `upscale` and `enhance`."""

from typing import Annotated, Literal

from pydantic import AliasChoices, Field

from sakuga_core.options.common import FileFormat, KeepMetadata, PictureOptions, Quality


class UpscaleOptions(PictureOptions):
    """Options of `upscale` and `enhance`."""

    scale: Annotated[
        float | None, Field(ge=1, le=4, description="scale factor, also fractional")
    ] = None
    denoise_strength: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            validation_alias=AliasChoices("denoise_strength", "denoise"),
            description="0 keeps noise, 1 removes it; realesr-general-x4v3 only",
        ),
    ] = None
    tile_size: Annotated[
        int | None,
        Field(ge=32, le=2048, description="tile size in input pixels, without padding"),
    ] = None
    overlapping_tiles: Annotated[
        bool, Field(description="aura-sr-v2 only: overlap tiles to hide their seams")
    ] = True
    overlap: Annotated[
        Literal["window", "reference"],
        Field(description="one pass with a blending window, or AuraSR's two passes"),
    ] = "window"
    reference_alpha: Annotated[
        bool, Field(description="upscale alpha exactly as Real-ESRGAN does, with its fringes")
    ] = False
    reference_resize: Annotated[
        bool, Field(description="downscale exactly as Real-ESRGAN does, without antialiasing")
    ] = False
    keep_metadata: KeepMetadata = True
    format: FileFormat = "png"
    quality: Quality = None
