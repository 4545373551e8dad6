"""Formats with a quality, which Pillow writes, HEIC and JPEG XL with its plugins."""

import io
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image

from sakuga_server.imaging.metadata import Metadata, jpeg_segments
from sakuga_server.imaging.metadata.exif import without_orientation
from sakuga_server.imaging.picture import Array, Picture
from sakuga_server.imaging.samples import interleaved

JPEG_QUALITY = 95
PILLOWS_LONGEST_JPEG = 65500  # pixels; of its libjpeg
LOSSY_QUALITY = 90  # of the others, where loss is asked for without saying how much

WHOLE_CHROMA = {"subsampling": "4:4:4"}  # halved, it bleeds over the hard edges of drawn art

# Seconds of one core per megapixel of an upscaled drawing, and bytes against the slower setting
# before it: AVIF at its best 0.6 (twice as slow: 12 % less), with a quality 0.7; JPEG XL lossless
# 0.25 (three times as slow: 13 % less), with a quality 0.35; HEIC 1.3 (twice as slow: 10 % less).
AVIF_SPEED, AVIF_SPEED_AT_BEST = 6, 8
JXL_EFFORT, JXL_EFFORT_AT_BEST = 5, 3
HEIC_SPEED = {"preset": "medium"}


def jpeg(picture: Picture, metadata: Metadata, quality: int | None) -> bytes:
    """
    Args:
        quality: None: JPEG_QUALITY.
    """
    quality = quality or JPEG_QUALITY
    if max(picture.width, picture.height) > PILLOWS_LONGEST_JPEG:
        return _long_jpeg(picture, metadata, quality)
    about: dict[str, Any] = {"extra": jpeg_segments(metadata)}
    if metadata.dpi:
        about["dpi"] = metadata.dpi
    options = {"quality": quality, **WHOLE_CHROMA, **about}
    return _saved(interleaved(picture), "JPEG", **options)


def _long_jpeg(picture: Picture, metadata: Metadata, quality: int) -> bytes:
    """A JPEG as long as its format allows, 65,535 pixels; the resolution stays in EXIF alone."""
    pixels = np.ascontiguousarray(interleaved(picture))
    file = bytes(imagecodecs.jpeg8_encode(pixels, level=quality, subsampling="444"))
    after = 4 + int.from_bytes(file[4:6], "big")  # SOI, and JFIF's APP0
    return file[:after] + jpeg_segments(metadata) + file[after:]


def webp(picture: Picture, metadata: Metadata, quality: int | None) -> bytes:
    """
    Args:
        quality: None: lossless.
    """
    pixels, about = interleaved(picture), _about(metadata)
    if quality is None:
        # Its quality is effort: from 80, the default, on, four times as long for 2 % less.
        return _saved(pixels, "WEBP", lossless=True, method=0, quality=20, exact=True, **about)
    return _saved(pixels, "WEBP", quality=quality, method=4, **about)


def avif(picture: Picture, metadata: Metadata, quality: int | None) -> bytes:
    """
    Args:
        quality: None: 100, which is lossless for gray; Pillow turns RGB into YCbCr of 8 bits.
    """
    pixels = interleaved(picture)
    options = avif_metadata(metadata) | (WHOLE_CHROMA if pixels.ndim == 3 else {})
    speed = AVIF_SPEED_AT_BEST if quality is None else AVIF_SPEED
    return _saved(pixels, "AVIF", quality=quality or 100, speed=speed, **options)


def avif_metadata(metadata: Metadata) -> dict[str, Any]:
    """Metadata as options of Pillow's AVIF writer."""
    about = _about(metadata)
    if metadata.exif:  # Pillow writes one that turns the picture anew, and fails on odd tags
        about["exif"] = without_orientation(metadata.exif)
    return about


def heic(picture: Picture, metadata: Metadata, quality: int | None) -> bytes:
    """
    Args:
        quality: None: lossless.
    """
    import pillow_heif  # which not every installation has

    pixels = interleaved(picture)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[1 if pixels.ndim == 2 else pixels.shape[2]]
    height, width = pixels.shape[:2]
    image = pillow_heif.from_bytes(mode, (width, height), pixels.tobytes())
    options: dict[str, Any] = {"chroma": 444, "quality": quality, "enc_params": HEIC_SPEED}
    if quality is None:
        options |= {"quality": -1, "matrix_coefficients": 0}  # no YCbCr, which rounds
    file = io.BytesIO()
    image.save(file, format="HEIF", **options, **_about(metadata))
    return file.getvalue()


def jxl(picture: Picture, metadata: Metadata, quality: int | None) -> bytes:
    """
    Args:
        quality: None: lossless.
    """
    import pillow_jxl  # noqa: F401  which adds the format to Pillow

    options: dict[str, Any] = {"quality": quality, "effort": JXL_EFFORT}
    if quality is None:
        options = {"lossless": True, "effort": JXL_EFFORT_AT_BEST}
    about = _about(metadata)
    if metadata.exif:  # behind the offset of its header, which the plugin leaves out
        about["exif"] = bytes(4) + metadata.exif
    return _saved(interleaved(picture), "JXL", **options, **about)


def _about(metadata: Metadata) -> dict[str, Any]:
    about = {"icc_profile": metadata.icc, "exif": metadata.exif, "xmp": metadata.xmp}
    return {name: value for name, value in about.items() if value}


def _saved(pixels: Array, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()
