"""Pictures for tests: the samples, or made by arithmetic, encoded as people send them."""

import io
import struct
import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

SAMPLES = Path(__file__).parents[2] / "samples"
CASES = Path(__file__).parents[1] / "data" / "cases"


def sample(name: str, box: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """A sample: (H, W), (H, W, 3) or (H, W, 4); whole, or its part (left, top, right, bottom)."""
    image = Image.open(next(SAMPLES.glob(f"{name}.*")))
    return np.asarray(image.crop(box) if box else image)


def gradient(height: int, width: int, dtype: type = np.uint8) -> np.ndarray:
    """(H, W, 3) with another ramp in each channel, over the whole range of `dtype`."""
    y, x = np.mgrid[0:height, 0:width]
    most = np.iinfo(dtype).max
    ramps = (x / max(width - 1, 1), y / max(height - 1, 1), (x + y) / max(width + height - 2, 1))
    return np.stack([ramp * most for ramp in ramps], axis=-1).astype(dtype)


def encoded(pixels: np.ndarray, format: str = "PNG", **options: object) -> bytes:
    """An 8-bit picture as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


def encoded_16(pixels: np.ndarray, suffix: str = ".png") -> bytes:
    """A 16-bit picture, gray, RGB or RGBA, as a file."""
    order = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    turned = cv2.cvtColor(pixels, order[channels]) if channels > 1 else pixels
    done, data = cv2.imencode(suffix, turned)
    assert done
    return data.tobytes()


def pixels_of(data: bytes) -> np.ndarray:
    """Any file's pixels, all of its bits: (H, W), (H, W, 3) RGB or (H, W, 4) RGBA."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels.ndim == 2:
        return pixels
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int, depth: int = 8, colour_type: int = 2) -> bytes:
    """A PNG file's signature and IHDR."""
    body = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", body)


def bomb() -> bytes:
    """10 GB of black in a few bytes; incomplete, so decoding it would fail for another reason."""
    return png_header(60000, 60000) + chunk(b"IDAT", zlib.compress(bytes(1 << 20)))


def off(found: np.ndarray, expected: np.ndarray) -> int:
    """The largest difference in levels."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    return int(np.abs(found.astype(np.int64) - expected).max())


def case(name: str) -> bytes:
    """A file that once was refused, or read wrong."""
    return (CASES / name).read_bytes()


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    """Pillow's picture as a file."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    """A TIFF file with samples just as they are, by tifffile."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **options)
    return file.getvalue()


def png(
    samples: np.ndarray, depth: int, colour_type: int, *extra: bytes, interlaced: bool = False
) -> bytes:
    """A PNG file of any depth, without filters.

    Args:
        samples: (H, W, C), as the file has them.
        extra: chunks between IHDR and IDAT.
    """
    height, width = samples.shape[:2]
    raw = b"".join(
        b"\0" + _packed(row, depth)
        for part in (_passes(samples) if interlaced else [samples])
        for row in part
        if row.size
    )
    body = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlaced)
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", body)
    return head + b"".join(extra) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def _passes(samples: np.ndarray) -> Iterator[np.ndarray]:
    """Adam7's (PNG, third edition, 8)."""
    for top, left, down, across in (
        *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)),
        *((2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)),
    ):
        yield samples[top::down, left::across]


def _packed(row: np.ndarray, depth: int) -> bytes:
    if depth == 16:
        return row.astype(">u2").tobytes()
    bits = np.unpackbits(row.reshape(-1, 1).astype(np.uint8), axis=1)[:, 8 - depth :]
    return np.packbits(bits).tobytes()


def psd(
    pixels: np.ndarray, layers: int | None = -1, depth: int = 8, resources: bytes = b""
) -> bytes:
    """A flattened PSD file.

    Args:
        pixels: (H, W), (H, W, 3), or (H, W, 4) with a channel beside RGB.
        layers: their number; below zero it says that the channel is transparency. None: no layers.
    """
    planes = np.atleast_3d(pixels).transpose(2, 0, 1)
    mode = 1 if len(planes) == 1 else 3
    sizes = struct.pack(">H6xHIIHH", 1, *planes.shape, depth, mode)
    info = b"" if layers is None else struct.pack(">Ihxx", 4, layers)
    parts = b"".join(struct.pack(">I", len(part)) + part for part in (b"", resources, info))
    return b"8BPS" + sizes + parts + b"\0\0" + planes.tobytes()


def inked(pixels: np.ndarray) -> np.ndarray:
    """CMYK of RGB, (H, W, 4), with some black ink."""
    light = pixels.max(axis=-1, keepdims=True).astype(float)
    full = np.iinfo(pixels.dtype).max
    colours = full - pixels / np.maximum(light, 1) * full
    return np.rint(np.concatenate((colours, full - light), axis=-1)).astype(pixels.dtype)


def cmyk_profile() -> bytes:
    """An ICC profile of inks that multiply: the colours of all 16 mixtures of full inks."""
    from skimage.color import rgb2lab  # slow to load, and few tests need it

    mixtures = np.array(list(product((0, 1), repeat=4)))
    light = (1 - 0.9 * mixtures[:, :3]) * (1 - 0.95 * mixtures[:, 3:])
    lab = rgb2lab(light[None])[0] * (2.55, 1, 1) + (0, 128, 128)
    matrix = struct.pack(">9i", *np.eye(3, dtype=int).ravel() * 65536)
    ramp = bytes(range(256))
    table = lab.round().clip(0, 255).astype(np.uint8).tobytes()
    lut = b"mft1" + bytes((0, 0, 0, 0, 4, 3, 2, 0)) + matrix + 4 * ramp + table + 3 * ramp
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)  # D50
    tags = struct.pack(">I4sII4sII", 2, b"A2B0", 156, len(lut), b"wtpt", 156 + len(lut), len(white))
    head = struct.pack(">4x4sI4s4s4s12x4s", b"none", 0x02100000, b"prtr", b"CMYK", b"Lab ", b"acsp")
    body = head.ljust(68, b"\0") + white[8:] + bytes(48) + tags + lut + white
    return struct.pack(">I", len(body)) + body[4:]
