"""A JPEG file with nothing in it but what its coefficients are decoded by.

jpeglib keeps what is beside the pixels in tables of fixed length: a file of many comments, or of
comments of no length, would be read wrong, or past the end of these.
"""

import re
from collections.abc import Iterator
from itertools import islice

from sakuga_core.errors import BadImage
from sakuga_server.imaging.metadata.jpeg import MOST_SEGMENTS
from sakuga_server.imaging.reading import jpeg

HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive (T.81, table B.1)
HUFFMAN, SCAN, END, TABLES, INTERVAL, ADOBE = 0xC4, 0xDA, 0xD9, 0xDB, 0xDD, 0xEE
NEEDED = (*HUFFMAN_FRAMES, HUFFMAN, SCAN, TABLES, INTERVAL)
RGB = 0  # Adobe's transform: none

# Of segments, outside of pixels: a byte of fill, and what isn't a marker, is passed over.
_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
# In pixels, a zero follows each byte of ones; RST0 to RST7 stand among them.
_AFTER_PIXELS = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)

Segment = tuple[int, bytes]  # its marker, and all of its bytes, a scan's pixels included


def bare(data: bytes) -> bytes | None:
    """A file of the same coefficients; None for one that isn't gray or YCbCr, in 8 bits, in
    Huffman's codes."""
    try:
        frame = jpeg.header(data)
    except BadImage:
        return None
    usual = frame.marker in HUFFMAN_FRAMES and frame.precision == 8 and frame.width and frame.height
    if not usual or len(frame.factors) not in (1, 3) or not all(map(_is_factor, frame.factors)):
        return None
    found = list(islice(_segments(data), MOST_SEGMENTS + 1))
    if len(found) > MOST_SEGMENTS or any(_is_rgb(*each) for each in found):
        return None
    if SCAN not in dict(found):
        return None
    needed = (body for marker, body in found if marker in NEEDED)
    return b"".join((b"\xff\xd8", *needed, bytes((0xFF, END))))


def _is_factor(factors: tuple[int, int]) -> bool:
    return max(factors) <= 4  # T.81, B.2.2


def _is_rgb(marker: int, body: bytes) -> bool:
    """Whether a segment says that there is no luma and chroma."""
    return marker == ADOBE and body[4:9] == b"Adobe" and len(body) >= 16 and body[15] == RGB


def _segments(data: bytes) -> Iterator[Segment]:
    """Those up to the end, as far as they are whole."""
    at = 2
    while (found := _MARKER.search(data, at)) and found[1][0] != END:
        marker, at = found[1][0], found.end()
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without a body
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            return
        end = at + length
        if marker == SCAN:
            following = _AFTER_PIXELS.search(data, end)
            end = following.start() if following else len(data)
        yield marker, data[found.start() : end]
        at = end
