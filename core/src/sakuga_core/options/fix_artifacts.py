"""Options of `fix_artifacts`, and the regions that it finds or is given."""

import base64
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from sakuga_core.options.upscale import UpscaleOptions

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
    """Options of `fix_artifacts`: of what is found and undone, and those of the upscaling."""

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
    jpeg_consistency: Annotated[
        bool, Field(description="keep upscaled lines within what a JPEG says of them")
    ] = True
    result: Annotated[
        Literal["upscaled", "restored", "regions"],
        Field(
            description="upscaled: all of it; restored: repaired, of its own size; regions: the "
            "picture as it came, with what was found drawn over it"
        ),
    ] = "upscaled"
