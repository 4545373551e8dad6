"""Pictures to files, with the metadata of their originals; or to bare pixels."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sakuga_core.errors import BadOption, TooLarge
from sakuga_core.formats import BY_NAME
from sakuga_server.imaging import png
from sakuga_server.imaging.metadata import HOLDS, Metadata, fitted, png_chunks, translated
from sakuga_server.imaging.metadata.color import to_srgb
from sakuga_server.imaging.picture import Array, Picture, rgb, strips
from sakuga_server.imaging.reading.pillow import EXTRA, has_plugin
from sakuga_server.imaging.samples import over_white, samples, to_8_bit
from sakuga_server.imaging.writing import MOST_BYTES, bitmaps, gif, pillow
from sakuga_server.imaging.writing.tiff import TiffWriter

# Gray without alpha; all others have it with alpha, too.
_NO_GRAY_WITH_ALPHA = ("avif", "heic")
_NO_GRAY = ("webp",)

_NEARLY = "avif has its best quality, whose colours may be off by 3 of 255"


def check_size(format: str, width: int, height: int) -> None:
    """What can be told of a result before the work on it.

    Raises:
        TooLarge: the format can't hold so wide or so high a picture.
        BadOption: this installation can't write the format.
    """
    row = BY_NAME.get(format)
    if row is not None and row.extra and not has_plugin(format):
        raise BadOption(f"option 'format' is {format!r}, which this server can't write; {EXTRA}")
    side, most = max(width, height), row.longest_side if row else None
    if most and side > most:
        raise TooLarge(f"the result is {side} pixels long; {format} allows {most}, png more")


def encode(
    picture: Picture,
    format: str,
    quality: int | None,
    keep_metadata: bool,
    lossless: bool | None = None,
) -> bytes:
    """Encodes a picture. What the format can't hold is a warning in `picture.warnings`.

    Args:
        picture: 8 or 16 bits; gray or RGB; with or without alpha.
        format: the name of a row of `sakuga_core.formats`. png and tiff keep everything; the others
            have 8 bits, jpeg has no alpha, gif 256 colours. raw is no file but the pixels, (1, H,
            W, C) in C order: uint8, or uint16 with the low byte first. C is 1 for gray, 3 for RGB,
            and one more with alpha.
        quality: 1 to 100, of jpeg, webp, avif, heic and jxl; left out, jpeg takes 95 and heic 90,
            the others are lossless, avif as nearly as it can.
        keep_metadata: write what docs/reference/metadata.md says, the colour profile included.
        lossless: of webp, avif, heic and jxl; None: where no quality is set, but for heic.

    Raises:
        TooLarge: the format can't hold so wide or so high a picture.
        BadOption: this installation can't write the format.
    """
    check_size(format, picture.width, picture.height)
    gray = picture.colour.ndim == 2
    level, notes = quality_or_lossless(format, quality, lossless, gray)
    picture.warnings += notes
    result, metadata = _held(picture, format, keep_metadata)
    if format in _LOSSY:
        return _LOSSY[format](result, metadata, level)
    return _EXACT[format](result, metadata)


def quality_or_lossless(
    format: str, quality: int | None, lossless: bool | None, gray: bool = False
) -> tuple[int | None, list[str]]:
    """What the options `quality` and `lossless` mean together for a format.

    Returns:
        The quality to write with, and warnings of what is ignored, and of loss where `lossless`
        was asked for. None is lossless, as nearly as the format can, but for jpeg, where it is the
        default.
    """
    row = BY_NAME.get(format)
    if row is None or not row.lossy:
        named = {"quality": quality, "lossless": lossless}
        given = " and ".join(name for name, value in named.items() if value is not None)
        return None, [f"{format} takes no {given}; it was ignored"] if given else []
    if format == "jpeg":
        return quality, ["jpeg can't be lossless; webp and png can"] if lossless else []
    nearly = [_NEARLY] if lossless and format == "avif" and not gray else []
    if lossless is None:
        lossless = quality is None and format != "heic"
    if not lossless:
        return quality or pillow.LOSSY_QUALITY, []
    ignored = [f"the {format} is lossless; quality was ignored"] if quality is not None else []
    return None, ignored + nearly


class PagesWriter:
    """A TIFF of several pages, each compressed when it comes; it need not be kept any longer."""

    def __init__(self, keep_metadata: bool) -> None:
        self.keep_metadata = keep_metadata
        self.warnings: list[str] = []
        """What the format can't hold of the pages so far, each once."""
        self._file = TiffWriter(pages=True)

    def add(self, picture: Picture) -> None:
        """
        Raises:
            TooLarge: the file is longer than a message can be.
        """
        page = Picture(picture.colour, picture.alpha, picture.metadata)
        self._file.add(*_held(page, "tiff", self.keep_metadata))
        self.warnings += [warning for warning in page.warnings if warning not in self.warnings]

    def finish(self) -> bytes:
        """The whole file."""
        return self._file.getvalue()


def _held(picture: Picture, format: str, keep_metadata: bool) -> tuple[Picture, Metadata]:
    """The picture and its metadata as far as the format can hold them."""
    row, warnings = BY_NAME.get(format), picture.warnings
    colour, alpha = picture.colour, picture.alpha
    if row is not None and not row.deep and picture.deep:
        warnings.append("the format has 8 bits per sample; png keeps 16")
        colour, alpha = to_8_bit(colour), None if alpha is None else to_8_bit(alpha)
    if row is not None and not row.alpha and alpha is not None:
        warnings.append(f"{format} has no transparency; the picture was composited over white")
        colour, alpha = over_white(colour, alpha), None
    if format in _NO_GRAY or (format in _NO_GRAY_WITH_ALPHA and alpha is not None):
        colour = rgb(colour)
    metadata = picture.metadata if keep_metadata else Metadata()
    metadata, about = fitted(metadata, picture.width, picture.height, colour.ndim == 2)
    warnings += about
    if format != "raw" and "icc" not in HOLDS[format]:
        colour, metadata = _in_srgb(colour, metadata, format, warnings)
    metadata, about = translated(metadata, format)
    warnings += about
    return Picture(colour, alpha, warnings=warnings), metadata


def _in_srgb(
    colour: Array, metadata: Metadata, format: str, warnings: list[str]
) -> tuple[Array, Metadata]:
    """8-bit pixels converted from their profile, for formats that take none."""
    try:
        convert = to_srgb(metadata)
    except ValueError as error:
        warnings.append(f"{error}; the colours weren't changed")
        convert = None
    if convert is not None:
        result = np.empty_like(colour)
        for rows in strips(colour):
            result[rows] = convert(colour[rows])
        colour = result
        warnings.append(f"{format} stores no colour profile; the colours were converted to sRGB")
    return colour, replace(metadata, icc=None, color=None)


def _tiff(picture: Picture, metadata: Metadata) -> bytes:
    writer = TiffWriter(pages=False)
    writer.add(picture, metadata)
    return writer.getvalue()


def _raw(picture: Picture) -> bytes:
    """
    Raises:
        TooLarge: no message can carry so many bytes.
    """
    size = picture.width * picture.height * picture.channels * picture.colour.itemsize
    if size > MOST_BYTES:
        raise TooLarge(f"the result has {size} bytes of pixels; raw allows {MOST_BYTES}")
    file = io.BytesIO()  # which takes strips as they lie in memory
    for rows in strips(picture.colour):
        file.write(samples(picture, rows, "<").data)
    return file.getvalue()


# With a quality; None: as well as the format can.
_LOSSY: dict[str, Callable[[Picture, Metadata, int | None], bytes]] = {
    "jpeg": pillow.jpeg,
    "webp": pillow.webp,
    "avif": pillow.avif,
    "heic": pillow.heic,
    "jxl": pillow.jxl,
}
_EXACT: dict[str, Callable[[Picture, Metadata], bytes]] = {
    "png": lambda picture, metadata: png.encoded(picture, png_chunks(metadata)),
    "gif": gif.encoded,
    "bmp": bitmaps.bmp,
    "tga": bitmaps.tga,
    "qoi": bitmaps.qoi,
    "tiff": _tiff,
    "raw": lambda picture, metadata: _raw(picture),
}
