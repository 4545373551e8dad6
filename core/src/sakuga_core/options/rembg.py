"""Options of `rembg`."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from sakuga_core.options.common import FileFormat, KeepMetadata, PictureOptions, Quality


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
        Literal["rembg", "letterbox"],
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
