"""The writer of each format."""

from sakuga_core.formats import BY_NAME
from sakuga_server.imaging.animation.apng_writer import ApngWriter
from sakuga_server.imaging.animation.avif_writer import AvifWriter
from sakuga_server.imaging.animation.record import Timing
from sakuga_server.imaging.animation.webp_writer import WebpWriter
from sakuga_server.imaging.animation.write import Plan, Writer
from sakuga_server.imaging.metadata import Metadata
from sakuga_server.imaging.writing.pillow import LOSSY_QUALITY

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
    level, warnings = _level(format, quality, lossless)
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


def _level(format: str, quality: int | None, lossless: bool | None) -> tuple[int | None, list[str]]:
    """The quality to write with, None for no loss; and what is ignored."""
    if not BY_NAME[format].lossy:
        named = {"quality": quality, "lossless": lossless}
        said = " and ".join(name for name, value in named.items() if value is not None)
        return None, [f"{format} takes no {said}; it was ignored"] if said else []
    if not (quality is None if lossless is None else lossless):
        return quality or LOSSY_QUALITY, []
    ignored = [f"the {format} is lossless; quality was ignored"] if quality is not None else []
    return None, ignored
