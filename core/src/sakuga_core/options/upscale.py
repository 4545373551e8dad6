"""Options of `upscale` and `enhance`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from sakuga_core.options.common import PictureOptions

SMALLEST, LARGEST = 1, 16  # scale factors

DenoiseLevel = Literal["conservative", "none", "0", "1", "2", "3"]

# Options that say how large the result is; one of them does.
SIZES = ("scale", "width", "height", "max_side", "megapixels")
DENOISING = ("denoise_strength", "denoise_level")


def _scale(value: object) -> object:
    """
    Raises:
        ValueError: it would make the picture smaller.
    """
    if isinstance(value, float | int) and not isinstance(value, bool) and 0 <= value < SMALLEST:
        raise ValueError("would make the picture smaller")
    return value


def _level(value: object) -> object:
    """A level as a word, also where it is written as a number."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


class UpscaleOptions(PictureOptions):
    """Options of `upscale` and `enhance`. At most one of these sets the size: `scale`, `width` and
    `height`, `max_side`, or `megapixels`."""

    scale: Annotated[
        float | None,
        Field(
            examples=[
                f"a number from {SMALLEST} to {LARGEST}; to make a picture smaller, use an image "
                "editor"
            ],
            ge=SMALLEST,
            le=LARGEST,
            description="scale factor, also fractional; above the network's in several passes",
        ),
        BeforeValidator(_scale),
    ] = None
    width: Annotated[
        int | None,
        Field(
            ge=1,
            description="width of the result in pixels; with height: the largest within both",
        ),
    ] = None
    height: Annotated[int | None, Field(ge=1, description="height of the result in pixels")] = None
    max_side: Annotated[
        int | None, Field(ge=1, description="longer side of the result in pixels")
    ] = None
    megapixels: Annotated[
        float | None,
        Field(gt=0, description="maximum size of the result in millions of pixels"),
    ] = None
    denoise_strength: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            validation_alias=AliasChoices("denoise_strength", "denoise"),
            description="0 keeps noise, 1 removes it, with realesr-general-x4v3; waifu2x and "
            "Real-CUGAN use the nearest denoise_level",
        ),
    ] = None
    denoise_level: Annotated[
        DenoiseLevel | None,
        BeforeValidator(_level),
        Field(
            description="waifu2x and Real-CUGAN: none keeps noise, 3 removes most, conservative "
            "keeps detail; not every scale has every level"
        ),
    ] = None
    tile_size: Annotated[
        int | None,
        Field(ge=32, le=2048, description="largest tile side in input pixels, without padding"),
    ] = None
    overlapping_tiles: Annotated[
        bool, Field(description="aura-sr-v2 only: overlap tiles to avoid seams")
    ] = True
    overlap: Annotated[
        Literal["window", "reference"],
        Field(description="window: one pass with blended tiles; reference: AuraSR's two passes"),
    ] = "window"
    preserve_gray: Annotated[
        bool, Field(description="keep gray pictures gray if they are stored as RGB")
    ] = True
    reference_alpha: Annotated[
        bool, Field(description="upscale alpha exactly as Real-ESRGAN does, including fringes")
    ] = False
    reference_flat: Annotated[
        bool,
        Field(description="let the network change the shade of single-colour pictures"),
    ] = False
    reference_resize: Annotated[
        bool, Field(description="downscale exactly as Real-ESRGAN does, without antialiasing")
    ] = False

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        named = [name for name in SIZES if getattr(self, name) is not None]
        if len(named) > 1 and named != ["width", "height"]:
            names = " and ".join(map(repr, named))
            raise ValueError(f"{names} are set; allowed: one of them, or width and height")
        return self


def overridden(*levels: Mapping[str, Any]) -> dict[str, Any]:
    """Options of several levels; later levels override earlier ones. An option also replaces its
    alternatives: a size of any kind replaces all sizes."""
    merged: dict[str, Any] = {}
    for level in levels:
        for alike in (SIZES, DENOISING):
            if any(name in level for name in alike):
                merged = {name: value for name, value in merged.items() if name not in alike}
        merged |= level
    return merged
