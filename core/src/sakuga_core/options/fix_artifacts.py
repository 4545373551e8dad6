"""Options of `fix_artifacts`, and the regions that it detects or accepts."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sakuga_core.options.common import MASK_ALLOWED, Mask
from sakuga_core.options.upscale import UpscaleOptions

Phase = Annotated[int, Field(ge=0, le=7)]
Box = tuple[int, int, Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class Region(BaseModel):
    """A damaged part of a picture, in pixels, after EXIF orientation is applied."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["jpeg", "banding", "speck", "user"] = "user"
    """Type of damage: JPEG blocks, banding of a gradient, a speck, or a region that the caller
    wants to be inpainted."""
    box: Box
    """x, y, width, height."""
    score: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Severity, from 0 to 1."""
    method: str = "caller"
    """Name of the detector."""
    quality: Annotated[int | None, Field(ge=1, le=100)] = None
    """For `jpeg`: the libjpeg quality with the nearest quantisation tables."""
    grid: tuple[Phase, Phase] | None = None
    """For `jpeg`: x and y of the 8×8 block corners, modulo 8; None: the file's own compression."""


def _region(value: Any) -> Any:
    """A region as a mapping; four numbers are its box."""
    return {"box": value} if isinstance(value, list | tuple) and len(value) == 4 else value


Detectors = Literal["auto", "jpeg", "banding", "speck", "none"]
Inpainting = Literal["auto", "migan", "lama-anime", "opencv", "none"]


class FixArtifactsOptions(UpscaleOptions):
    """Options of `fix_artifacts`: detection, restoration, inpainting, and those of `upscale`."""

    detector: Annotated[
        Detectors,
        Field(description="damage to detect; none: only the request's regions and mask"),
    ] = "auto"
    regions: Annotated[
        list[Annotated[Region, BeforeValidator(_region)]] | None,
        Field(
            examples=["a list of [x, y, width, height] with a size of at least 1, or of regions"],
            description="region to inpaint, X,Y,WIDTH,HEIGHT; repeat for several",
        ),
    ] = None
    mask: Annotated[
        Mask,
        Field(
            examples=[MASK_ALLOWED],
            description="mask of the same size; white areas are inpainted",
        ),
    ] = None
    inpaint: Annotated[
        Inpainting,
        Field(description="inpainting method; auto: OpenCV for thin areas, else a network"),
    ] = "auto"
    restore: Annotated[
        bool, Field(description="remove JPEG blocks and banding before upscaling")
    ] = True
    jpeg_consistency: Annotated[
        bool, Field(description="keep the result consistent with the JPEG file's coefficients")
    ] = True
    result: Annotated[
        Literal["upscaled", "restored", "regions"],
        Field(
            description="upscaled: repaired and upscaled; restored: repaired at the original size; "
            "regions: the original with the detected regions drawn on it"
        ),
    ] = "upscaled"
