"""QOI through its reference decoder. Pillow's is written in Python: a second for each megapixel."""

import struct

import imagecodecs

from sakuga_core.config.server import Limits
from sakuga_server.imaging.picture import Array
from sakuga_server.imaging.reading.checks import blaming, check_size, damaged
from sakuga_server.imaging.reading.samples import Samples

TITLE = "QOI"
_END = b"\0\0\0\0\0\0\0\1"
_RGBA = b"\xff"  # the operation that says a whole pixel
_REPEAT = 4 * b"\xc0"  # operations of one byte, for one that lacks up to four
# A file's own last pixel may be one of them, but not both.
_SIGNS = (b"\x5a\xa5\x3c\x96", b"\xa5\x5a\xc3\x69")


def read(data: bytes, limits: Limits) -> Samples:
    """
    Raises:
        BadImage: truncated or damaged.
        TooLarge: over the limit of pixels; nothing has been decoded yet.
    """
    if len(data) < 14 + len(_END):
        raise damaged(TITLE, "it is shorter than its header and its end")
    width, height = struct.unpack_from(">II", data, 4)
    check_size(width, height, limits, TITLE)
    values = _decoded(data, _SIGNS[0])
    if _ends_with(values, _SIGNS[0]):
        values = _decoded(data, _SIGNS[1])
        if _ends_with(values, _SIGNS[1]):
            raise damaged(TITLE, "its data ends before its last pixels")
    return Samples(values, "rgb", alpha=3 if values.shape[2] == 4 else None)


def _decoded(data: bytes, sign: bytes) -> Array:
    """The decoder repeats the last pixel for those that are missing, so a sign is put after it."""
    body = data.removesuffix(_END)
    with blaming(TITLE):
        values: Array = imagecodecs.qoi_decode(b"".join((body, _REPEAT, _RGBA, sign, _END)))
    return values


def _ends_with(values: Array, sign: bytes) -> bool:
    return bytes(values[-1, -1]) == sign[: values.shape[2]]
