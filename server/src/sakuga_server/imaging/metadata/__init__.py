"""Metadata of picture files: read from every format, translated, and written into every format.

metadata, warnings = read(data, "jpeg", image)
metadata, warnings = fitted(metadata, width, height, gray=False)
metadata, warnings = translated(metadata, "png")
file = … + png_chunks(metadata) + …
"""

from sakuga_server.imaging.metadata.fitted import fitted
from sakuga_server.imaging.metadata.read import orientation, read
from sakuga_server.imaging.metadata.record import Color, Metadata, Text
from sakuga_server.imaging.metadata.translated import translated
from sakuga_server.imaging.metadata.write import (
    gif_blocks,
    jpeg_segments,
    png_chunks,
    webp_chunks,
)

__all__ = [
    "Color",
    "Metadata",
    "Text",
    "fitted",
    "gif_blocks",
    "jpeg_segments",
    "orientation",
    "png_chunks",
    "read",
    "translated",
    "webp_chunks",
]
