"""Metadata of picture files: read from every format, translated, and written into every format.

metadata, warnings = read(data, "jpeg", image)
metadata, warnings = fitted(metadata, width, height, gray=False)
metadata, warnings = translated(metadata, "png")
file = … + png_chunks(metadata) + …
"""

from sakuga_server.imaging.metadata.jpeg import jpeg_segments
from sakuga_server.imaging.metadata.others import gif_blocks, webp_chunks
from sakuga_server.imaging.metadata.png import png_chunks
from sakuga_server.imaging.metadata.read import orientation, read
from sakuga_server.imaging.metadata.record import Color, Metadata, Text
from sakuga_server.imaging.metadata.results import HOLDS, fitted, translated

__all__ = [
    "HOLDS",
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
