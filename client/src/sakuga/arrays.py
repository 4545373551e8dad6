"""NumPy arrays as picture files, and back."""

import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from sakuga.channel import MAX_MESSAGE_BYTES
from sakuga.reply import Reply
from sakuga_core.errors import BadImage, TooLarge

Array = npt.NDArray[Any]

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # of PNG, by channels: gray, with alpha, RGB, with alpha
LEVEL = 1  # of zlib; drawn pictures gain little from more, which takes several times as long


def png(pixels: Array) -> bytes:
    """An array as a PNG file, without loss.

    Args:
        pixels: uint8 or uint16, (H, W), or (H, W, C) with 1 channel for gray, 2 for gray and alpha,
            3 for RGB, 4 for RGB and alpha; alpha isn't premultiplied.

    Raises:
        BadImage: it has another type or shape, or no pixels.
        TooLarge: it is larger than any message to a server may be.
    """
    channels = _channels(pixels)
    height, width = pixels.shape[:2]
    depth = 8 * pixels.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, depth, COLOUR_TYPES[channels], 0, 0, 0)
    body = zlib.compress(_lines(pixels).data, LEVEL)
    chunks = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _channels(pixels: Array) -> int:
    """The number of channels of an array that is a picture.

    Raises:
        BadImage, TooLarge: it is none.
    """
    if pixels.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise BadImage(f"the array has dtype {pixels.dtype}; allowed: uint8, uint16")
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in COLOUR_TYPES or not pixels.size:
        allowed = "(height, width), or (height, width, channels) with 1 to 4 channels"
        raise BadImage(f"the array has shape {pixels.shape}; allowed: {allowed}")
    if pixels.nbytes > MAX_MESSAGE_BYTES:
        raise TooLarge(f"the array has {pixels.nbytes} bytes; allowed: {MAX_MESSAGE_BYTES}")
    return channels


def _lines(pixels: Array) -> Array:
    """Rows of bytes, the high one first, each after the number of its filter: none."""
    samples = np.ascontiguousarray(pixels, f">u{pixels.dtype.itemsize}")
    rows = samples.view(np.uint8).reshape(len(samples), -1)
    lines = np.zeros((len(rows), 1 + rows.shape[1]), np.uint8)
    lines[:, 1:] = rows
    return lines


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(body, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", check)))


def pixels_of(reply: Reply, axes: int) -> Array:
    """The pixels of a result of `format: raw`, in memory of their own.

    Args:
        axes: 2 or 3, those of the array that was sent.

    Returns:
        uint8 or uint16, (H, W, C); (H, W), if two axes were sent and it is gray without alpha.
    """
    (pixels,) = reply.pixels
    flat = axes == 2 and pixels.shape[2] == 1
    return np.array(pixels[..., 0] if flat else pixels, pixels.dtype.newbyteorder("="))
