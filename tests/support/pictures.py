"""Pictures for tests: the samples, or made by arithmetic, encoded as people send them."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SAMPLES = Path(__file__).parents[2] / "samples"


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
