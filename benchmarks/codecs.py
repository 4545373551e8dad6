"""Encoding and decoding side by side with Pillow's defaults, on drawings that a network upscaled;
and the PNG writer against every level of Pillow and OpenCV, at equal size.

`python benchmarks/codecs.py [--quick]`; about twelve minutes on two cores, one with --quick.
"""

import io
import sys
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from drawings import MODEL, Drawings
from measure import Row, one_core, seconds, side_by_side, write
from PIL import Image

from pictures import encoded
from sakuga_core.config.server import Limits
from sakuga_core.options import Format
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.encode import encode
from sakuga_server.imaging.picture import Picture

Encoder, Writer = Callable[[np.ndarray], bytes], Callable[[], bytes]

STRATEGIES = {"default": 0, "filtered": 1, "Huffman": 2, "RLE": 3}  # zlib's
LIMITS = Limits()
NOTES = [
    "Sizes are ours / the peer's. The pictures are a heroine and, with alpha, a mascot, drawn at a "
    f"quarter of the size and upscaled four times by `{MODEL}`.",
    "The peer is Pillow with its defaults, to an array and from one; for WebP and JPEG with the "
    "same quality. Pillow writes no PNG of 16-bit colour, so there the peer is libpng as OpenCV "
    "has it, with zlib's default level.",
    "Ours deflates strips of a PNG on all cores; the rows `on one core` confine both sides to one.",
    "At equal size the peer is the fastest of Pillow's and OpenCV's levels and strategies whose "
    "file is at most 2 % larger than ours. The PNG writer is kept for as long as these rows show "
    "at least 1.5.",
    "JPEGs of ours have whole chroma, Pillow's halved: most of their difference in size.",
]


def as_picture(pixels: np.ndarray) -> Picture:
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return Picture(pixels)
    return Picture(np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3]))


def libpng(pixels: np.ndarray, level: int = 6, strategy: int = 0) -> bytes:
    """As OpenCV writes it, its conversion to BGR included."""
    order = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    turned = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, order[pixels.shape[2]])
    settings = [cv2.IMWRITE_PNG_COMPRESSION, level, cv2.IMWRITE_PNG_STRATEGY, strategy]
    return bytes(cv2.imencode(".png", turned, settings)[1])


def settings() -> dict[str, Encoder]:
    """All levels and strategies of Pillow and OpenCV."""
    found: dict[str, Encoder] = {}
    for level in range(1, 10):
        found[f"Pillow, level {level}"] = partial(encoded, compress_level=level)
        for name, strategy in STRATEGIES.items():
            found[f"OpenCV, level {level}, {name}"] = partial(
                libpng, level=level, strategy=strategy
            )
    return found


def fastest_library(pixels: np.ndarray, most: int) -> tuple[str, Writer]:
    """The fastest setting of Pillow or OpenCV whose file has at most so many bytes; which is faster
    is tried on a part."""
    middle = slice(pixels.shape[0] * 3 // 8, pixels.shape[0] * 5 // 8)
    part = np.ascontiguousarray(pixels[middle, middle])
    ranked = sorted(settings().items(), key=lambda setting: seconds(partial(setting[1], part)))
    for name, encoder in ranked:
        if len(encoder(pixels)) <= most:
            return name, partial(encoder, pixels)
    raise LookupError(f"no library's setting stays under {most} bytes")


def at_equal_size(what: str, pixels: np.ndarray, runs: int) -> Row:
    """Ours against the libraries' fastest writer of a file as small."""
    ours: Writer = partial(encode, as_picture(pixels), "png", None, True)
    size = len(ours())
    name, theirs = fastest_library(pixels, round(size * 1.02))
    sizes = f"{name}; {size / 1e6:.1f} MB against {len(theirs()) / 1e6:.1f}"
    return side_by_side(f"encode PNG at equal size, {what}", ours, theirs, runs, sizes)


def encoding(
    what: str,
    pixels: np.ndarray,
    runs: int,
    format: Format = "png",
    quality: int | None = None,
) -> Row:
    source, exact = as_picture(pixels), {"lossless": True, "exact": True}
    options = {"quality": quality} if quality else exact if format == "webp" else {}

    def ours() -> bytes:
        return encode(source, format, quality, True)

    def theirs() -> bytes:
        if pixels.dtype == np.uint16 and pixels.ndim == 3:
            return libpng(pixels)
        return encoded(pixels, format.upper(), **options)

    mine, other = len(ours()), len(theirs())
    sizes = f"{mine / 1e6:.1f} MB against {other / 1e6:.1f}: {mine / other:.3f} of the size"
    return side_by_side(f"encode {what}", ours, theirs, runs, sizes)


def decoding(what: str, data: bytes, runs: int) -> Row:
    def theirs() -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(data)))

    return side_by_side(f"decode {what}", lambda: decode(data, LIMITS), theirs, runs)


def pngs(drawings: Drawings, runs: int) -> list[Row]:
    kinds = {
        "RGB": drawings.rgb,
        "RGBA": drawings.rgba,
        "gray": drawings.gray,
        "gray of 16 bits": drawings.gray_16,
        "RGB of 16 bits": drawings.rgb_16,
    }
    rows = [encoding(f"PNG, {kind}", pixels, runs) for kind, pixels in kinds.items()]
    rows += [at_equal_size(kind, kinds[kind], runs) for kind in ("RGB", "RGBA", "gray")]
    with one_core():
        for kind in ("RGB", "RGBA"):
            rows.append(encoding(f"PNG, {kind}, on one core", kinds[kind], runs))
            rows.append(at_equal_size(f"{kind}, on one core", kinds[kind], runs))
    return rows


def others(drawings: Drawings, runs: int) -> list[Row]:
    return [
        encoding("WebP, lossless", drawings.rgb, runs, "webp"),
        encoding("WebP, lossless, RGBA", drawings.rgba, runs, "webp"),
        encoding("WebP, quality 90", drawings.rgb, runs, "webp", 90),
        encoding("JPEG, quality 95", drawings.rgb, runs, "jpeg", 95),
    ]


def decoded(drawings: Drawings, runs: int) -> list[Row]:
    files = {
        "PNG, RGB": encoded(drawings.rgb),
        "PNG, RGBA": encoded(drawings.rgba),
        "PNG, gray of 16 bits": encoded(drawings.gray_16),
        "WebP, quality 90": encoded(drawings.rgb, "WEBP", quality=90),
        "JPEG, quality 95": encoded(drawings.rgb, "JPEG", quality=95),
    }
    return [decoding(what, data, runs) for what, data in files.items()]


def main(quick: bool) -> None:
    side, runs = (1024, 2) if quick else (4096, 5)
    drawings = Drawings(side)
    rows = [*pngs(drawings, runs), *others(drawings, runs), *decoded(drawings, runs)]
    if not quick:
        write("codecs", f"Codecs, {side}²", "the peer", rows, NOTES)


if __name__ == "__main__":
    sys.exit(main("--quick" in sys.argv))
