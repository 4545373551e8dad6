"""The options of every action: their names, ranges, defaults and errors.

Client and server both read them, so a range is written once; the flags of commands, the JSON Schema
and the documentation follow from them.
"""

from sakuga_core.options.common import Format, PictureOptions
from sakuga_core.options.fix_artifacts import (
    Box,
    Detectors,
    FixArtifactsOptions,
    Inpainting,
    Region,
)
from sakuga_core.options.parsing import explain, parse_options
from sakuga_core.options.rembg import RembgOptions
from sakuga_core.options.upscale import UpscaleOptions, overridden

__all__ = [
    "Box",
    "Detectors",
    "FixArtifactsOptions",
    "Format",
    "Inpainting",
    "PictureOptions",
    "Region",
    "RembgOptions",
    "UpscaleOptions",
    "explain",
    "overridden",
    "parse_options",
]
