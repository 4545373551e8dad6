"""Options of `rembg`."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from sakuga_core.options.common import MASK_ALLOWED, Mask, PictureOptions


def _colour(value: Any) -> Any:
    """A colour as `#rrggbbaa`.

    Raises:
        ValueError: it isn't a colour.
    """
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
            description="mask values above this are definite foreground; at 255 "
            "or more, only the network's maximum",
        ),
    ] = 240
    alpha_matting_background_threshold: Annotated[
        int, Field(ge=0, le=255, description="mask values below this are definite background")
    ] = 10
    alpha_matting_erode_size: Annotated[
        int, Field(ge=0, le=100, description="erode the definite areas by this many pixels")
    ] = 10
    matting: Annotated[
        Literal["fast", "pymatting"],
        Field(description="implementation of alpha matting"),
    ] = "fast"
    preprocess: Annotated[
        Literal["rembg", "letterbox"],
        Field(
            description="isnet-anime only: stretch the picture as the rembg library does, or "
            "letterbox it as in the network's training"
        ),
    ] = "rembg"
    post_process_mask: Annotated[
        bool, Field(description="smooth and binarise the mask, and remove specks")
    ] = False
    mask: Annotated[
        Mask,
        Field(
            examples=[MASK_ALLOWED],
            description="corrections to the network's mask, in the picture's size: white is "
            "foreground, black is background, gray is left to the network",
        ),
    ] = None
    only_mask: Annotated[bool, Field(description="return the mask instead of the foreground")] = (
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
            description="composite the foreground over a colour",
        ),
        WithJsonSchema({"type": ["string", "array", "null"], "items": {"type": "integer"}}),
    ] = None
    estimate_foreground: Annotated[
        bool, Field(description="remove the background's colour from soft edges")
    ] = True
    premultiplied: Annotated[
        bool, Field(description="premultiply colours by alpha as the rembg library does")
    ] = False
    reference_thresholds: Annotated[
        bool,
        Field(description="skip matting if no mask value exceeds the threshold, like rembg"),
    ] = False

    @property
    def adds_alpha(self) -> bool:
        """Whether the result of an opaque picture is transparent."""
        opaque = self.background_color is not None and self.background_color.endswith("ff")
        return not (self.only_mask or opaque)
