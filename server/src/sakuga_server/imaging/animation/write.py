"""Frames into animated picture files."""

from sakuga_server.imaging.animation.apng import ApngWriter
from sakuga_server.imaging.animation.avif import AvifWriter
from sakuga_server.imaging.animation.base import Plan, Writer
from sakuga_server.imaging.animation.record import Timing
from sakuga_server.imaging.animation.webp import WebpWriter
from sakuga_server.imaging.encode import quality_or_lossless
from sakuga_server.imaging.metadata import Metadata

WRITERS: dict[str, type[Writer]] = {
    "png": ApngWriter,
    "webp": WebpWriter,
    "avif": AvifWriter,
}


def writer(
    format: str,
    width: int,
    height: int,
    timing: Timing,
    *,
    alpha: bool,
    deep: bool = False,
    metadata: Metadata | None = None,
    quality: int | None = None,
    lossless: bool | None = None,
) -> Writer:
    """For a file of as many frames as `timing` has durations.

    Args:
        format: png, webp, gif or avif.
        width: of the canvas, in pixels, as `height`.
        alpha: whether frames may have transparency.
        deep: 16 bits a sample, where the format has so many.
        metadata: what the file says beside its pixels, as far as the format can hold it.
        quality: 1 to 100, of webp and avif.
        lossless: of webp and avif; None: where no quality is set.

    Raises:
        TooLarge: the format can't hold so wide or so high a picture.
    """
    level, warnings = quality_or_lossless(format, quality, lossless)
    plan = Plan(
        format=format,
        width=width,
        height=height,
        timing=timing,
        alpha=alpha,
        deep=deep,
        metadata=metadata or Metadata(),
        quality=level,
    )
    result = _kind(format)(plan)
    result.warnings += warnings
    return result


def _kind(format: str) -> type[Writer]:
    if format == "gif":
        # Imported here, so that processes which write no GIF go without numba's 80 MB.
        from sakuga_server.imaging.animation.gif_writer import GifWriter

        return GifWriter
    return WRITERS[format]
