"""The flattened picture of a PSD: Pillow reads it, but not what the file says of it."""

import struct
from dataclasses import replace

from sakuga_core.config.server import Limits
from sakuga_core.errors import BadImage
from sakuga_server.imaging.reading import pillow
from sakuga_server.imaging.reading.checks import damaged
from sakuga_server.imaging.reading.samples import Samples

TITLE = "PSD"
MULTICHANNEL, LAB = 7, 9
_VERSION_INFO = 1057  # a resource: whether a flattened picture was saved


def read(data: bytes, limits: Limits) -> Samples:
    """
    Raises:
        BadImage: truncated, damaged, without a flattened picture, or of a kind that isn't read.
        TooLarge: over the limit of pixels; nothing has been decoded yet.
    """
    _check(data)
    with pillow.opened(data, "psd", limits) as file:
        samples = pillow.read(file, data, "psd", limits)
        samples = replace(samples, inverted=file.mode == "1")  # whose ones are black
    if samples.alpha is None:
        return samples
    if _transparent(data):
        return replace(samples, matte="white")
    note = "an extra channel of the PSD file, which isn't transparency, was dropped"
    return replace(samples, alpha=None, warnings=[*samples.warnings, note])


def _check(data: bytes) -> None:
    """
    Raises:
        BadImage: it has no flattened picture, or one that isn't read.
    """
    if len(data) < 26:
        raise damaged(TITLE, "it has no header")
    depth, mode = struct.unpack_from(">HH", data, 22)
    if depth not in (1, 8):
        raise BadImage(f"the PSD file has {depth} bits a sample; allowed: 8")
    if mode in (MULTICHANNEL, LAB):
        raise BadImage("the PSD file has no gray, RGB or CMYK colours; convert it to RGB")
    if _resource(data, _VERSION_INFO)[4:5] == b"\0":
        raise BadImage(
            "the PSD file was saved without a flattened picture; "
            'save it with "Maximize Compatibility"'
        )


def _transparent(data: bytes) -> bool:
    """Whether the first channel after the colours is the picture's transparency, which a negative
    number of layers says (Adobe's specification, "Layer info"), and no saved selection."""
    at = 26
    for _ in range(2):  # palette, resources
        at += 4 + _number(data, at)
    return _number(data, at) > 0 and data[at + 8 : at + 9] >= b"\x80"


def _resource(data: bytes, wanted: int) -> bytes:
    """A resource's bytes; none where there is no such one."""
    at = 30 + _number(data, 26)
    end = min(at + 4 + _number(data, at), len(data))
    at += 4
    while at + 12 <= end and data[at : at + 4] == b"8BIM":
        (number,) = struct.unpack_from(">H", data, at + 4)
        at += 6 + (1 + data[at + 6] + 1) // 2 * 2  # after its name, in words of two bytes
        size = _number(data, at)
        if number == wanted:
            return data[at + 4 : at + 4 + size]
        at += 4 + size + size % 2
    return b""


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")
