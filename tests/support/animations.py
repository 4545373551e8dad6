"""Animated pictures made at random, written by plain encoders, and composed by a plain viewer.

Nothing in here is the project's own code: files are put together from the formats' descriptions,
and composed pixel by pixel with exact fractions.
"""

import io
import struct
import zlib
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from PIL import Image

from pictures import chunk, png_header

KEEP, CLEAR, RESTORE = range(3)


@dataclass(frozen=True)
class Op:
    """What is drawn for one frame."""

    left: int
    top: int
    pixels: np.ndarray
    """(h, w, 4), uint8 or uint16."""
    dispose: int = KEEP
    over: bool = False
    milliseconds: int = 40

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        return self.pixels.shape[1]


def ops(
    seed: int,
    count: int = 7,
    size: tuple[int, int] = (14, 11),
    dtype: type = np.uint8,
    disposals: tuple[int, ...] = (KEEP, CLEAR, RESTORE),
    step: int = 1,
    alphas: str = "any",
    first_covers: bool = True,
    outside: int = 0,
) -> list[Op]:
    """Random drawings on a canvas.

    Args:
        size: width and height of the canvas.
        step: of their offsets.
        alphas: "any", "binary" or "full".
        first_covers: whether the first one covers the canvas.
        outside: pixels by which the others may stick out.
    """
    random = np.random.default_rng(seed)
    most = int(np.iinfo(dtype).max)
    width, height = size
    result = []
    for number in range(count):
        left, right = sorted(random.choice(width + outside + 1, 2, replace=False))
        top, bottom = sorted(random.choice(height + outside + 1, 2, replace=False))
        left, top = left // step * step, top // step * step
        if number == 0 and first_covers:
            left, top, right, bottom = 0, 0, width, height
        pixels = random.integers(0, most + 1, (bottom - top, right - left, 4), dtype)
        kinds = {"any": [0, most, most // 3, most // 2], "binary": [0, most], "full": [most]}
        pixels[..., 3] = random.choice(np.array(kinds[alphas], dtype), pixels.shape[:2])
        if alphas == "any" and random.random() < 0.5:
            pixels[..., 3] = random.integers(0, most + 1, pixels.shape[:2], dtype)
        dispose, over = int(random.choice(disposals)), bool(random.random() < 0.6)
        ms = int(random.integers(2, 40)) * 10
        result.append(Op(int(left), int(top), pixels, dispose, over, ms))
    return result


def composed(drawings: list[Op], width: int, height: int) -> list[np.ndarray]:
    """What a viewer shows: (height, width, 4) for each, pixel by pixel."""
    dtype = drawings[0].pixels.dtype
    canvas = np.zeros((height, width, 4), dtype)
    shown = []
    for op in drawings:
        before = canvas.copy()
        for y in range(op.height):
            for x in range(op.width):
                if op.top + y < height and op.left + x < width:
                    at = (op.top + y, op.left + x)
                    canvas[at] = _over(op.pixels[y, x], canvas[at]) if op.over else op.pixels[y, x]
        shown.append(canvas.copy())
        window = (slice(op.top, op.top + op.height), slice(op.left, op.left + op.width))
        if op.dispose == CLEAR:
            canvas[window] = 0
        elif op.dispose == RESTORE:
            canvas[window] = before[window]
    return shown


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """PNG, third edition, 13.16, in fractions, rounded to the nearest at the end."""
    most = int(np.iinfo(above.dtype).max)
    a, b = Fraction(int(above[3]), most), Fraction(int(below[3]), most)
    alpha = a + b * (1 - a)
    if a == 0:
        return below
    mixed = [(int(above[i]) * a + int(below[i]) * b * (1 - a)) / alpha for i in range(3)]
    return np.array([int(value + Fraction(1, 2)) for value in (*mixed, alpha * most)], above.dtype)


def apng(
    drawings: list[Op],
    width: int,
    height: int,
    plays: int = 0,
    still: np.ndarray | None = None,
    about: bytes = b"",
) -> bytes:
    """
    Args:
        still: the still image (height, width, 4), if it is none of the frames.
        about: chunks between the header and the pixels.
    """
    depth = drawings[0].pixels.dtype.itemsize * 8
    parts = [png_header(width, height, depth, 6), about]
    parts.append(chunk(b"acTL", struct.pack(">II", len(drawings), plays)))
    if still is not None:
        parts.append(chunk(b"IDAT", deflated(still)))
    number = 0
    for index, op in enumerate(drawings):
        control = struct.pack(
            ">IIIIIHHBB",
            *(number, op.width, op.height, op.left, op.top),
            *(op.milliseconds, 1000, op.dispose, op.over),
        )
        parts.append(chunk(b"fcTL", control))
        number += 1
        stream = deflated(op.pixels)
        if index == 0 and still is None:
            parts.append(chunk(b"IDAT", stream))
            continue
        for piece in (stream[: len(stream) // 2], stream[len(stream) // 2 :]):
            parts.append(chunk(b"fdAT", struct.pack(">I", number) + piece))
            number += 1
    return b"".join((*parts, chunk(b"IEND", b"")))


def deflated(pixels: np.ndarray) -> bytes:
    """As a PNG has pixels: rows with filter 0, big-endian, in a zlib stream."""
    order = pixels.astype(pixels.dtype.newbyteorder(">"))
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in order))


def fresh_checksums(data: bytes) -> bytes:
    """A PNG whose chunks were changed, with checksums that are right."""
    parts, at = [data[:8]], 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        parts.append(chunk(kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    return b"".join(parts)


def webp(drawings: list[Op], width: int, height: int, plays: int = 0, **lossy: object) -> bytes:
    """Without RESTORE, which WebP hasn't, and with even offsets."""
    sizes = b"".join((length - 1).to_bytes(3, "little") for length in (width, height))
    body = riff(b"VP8X", struct.pack("<I", 0x12) + sizes)
    body += riff(b"ANIM", struct.pack("<4BH", 10, 20, 30, 40, plays))
    for op in drawings:
        numbers = (op.left // 2, op.top // 2, op.width - 1, op.height - 1, op.milliseconds)
        head = b"".join(number.to_bytes(3, "little") for number in numbers)
        flags = (op.dispose == CLEAR) | (not op.over) << 1
        file = io.BytesIO()
        options = lossy or {"lossless": True, "exact": True}
        Image.fromarray(op.pixels).save(file, "WEBP", **options)
        still = file.getvalue()[12:]
        if still[:4] == b"VP8X":
            still = still[18:]
        body += riff(b"ANMF", head + bytes((flags,)) + still)
    return riff(b"RIFF", b"WEBP" + body)


def riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def indexed(drawings: list[Op], seed: int, colours: int = 12) -> list[Op]:
    """The same in at most so many colours each, with alphas of 0 and 255, laid over."""
    random = np.random.default_rng(seed)
    result = []
    for op in drawings:
        table = random.integers(0, 256, (colours, 3), np.uint8)
        pixels = op.pixels.copy()
        pixels[..., :3] = table[random.integers(0, colours, op.pixels.shape[:2])]
        pixels[..., 3] = np.where(pixels[..., 3] > 127, 255, 0)
        result.append(replace(op, pixels=pixels, over=True))
    return result


def gif(
    drawings: list[Op], width: int, height: int, repeats: int | None = 0, code_size: int = 8
) -> bytes:
    """Each with a colour table of its own, of `indexed` drawings.

    Args:
        repeats: what NETSCAPE2.0 says; None: it isn't there.
        code_size: any other makes pixels that can't be decoded.
    """
    parts = [struct.pack("<6sHHBBB", b"GIF89a", width, height, 0, 0, 0)]
    if repeats is not None:
        parts.append(b"!\xff\x0bNETSCAPE2.0\3\1" + struct.pack("<H", repeats) + b"\0")
    for op in drawings:
        parts.append(gif_control(op.milliseconds // 10, op.dispose))
        parts.append(gif_image(op, code_size))
    return b"".join((*parts, b";"))


def gif_control(hundredths: int, dispose: int) -> bytes:
    """A graphic control extension; index 255 is the transparent one."""
    return b"!\xf9" + struct.pack("<BBHBB", 4, (dispose + 1) << 2 | 1, hundredths, 255, 0)


def gif_image(op: Op, code_size: int = 8) -> bytes:
    packed = op.pixels.astype(np.uint32)
    packed = packed[..., 0] << 16 | packed[..., 1] << 8 | packed[..., 2]
    table, indices = np.unique(packed, return_inverse=True)
    indices = np.where(op.pixels[..., 3] > 0, indices.reshape(packed.shape), 255).astype(np.uint8)
    colours = np.stack((table >> 16, table >> 8 & 255, table & 255), -1).astype(np.uint8)
    size = struct.pack("<BHHHHB", 0x2C, op.left, op.top, op.width, op.height, 0x87)
    return size + colours.tobytes().ljust(768, b"\0") + gif_pixels(indices, code_size)


def gif_pixels(indices: np.ndarray, code_size: int = 8) -> bytes:
    """LZW that never uses its dictionary: it is cleared before codes would need a tenth bit."""
    bits, count = 0, 0
    values = indices.ravel().tolist()
    for start in range(0, len(values), 200):
        for code in (256, *values[start : start + 200]):
            bits |= code << count
            count += 9
    bits |= 257 << count
    data = bits.to_bytes((count + 9 + 7) // 8, "little")
    blocks = (data[at : at + 255] for at in range(0, len(data), 255))
    return bytes((code_size,)) + b"".join(bytes((len(each),)) + each for each in blocks) + b"\0"
