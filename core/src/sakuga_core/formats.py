"""File formats: one row each, what they can hold, and how their files begin.

Client and server read the same rows: the one names results before any work, the other writes them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """What there is to know of a format of picture files."""

    name: str
    """As the option `format` has it."""
    title: str
    """As people write it."""
    suffixes: tuple[str, ...]
    """Of file names, with their dot, in lower case; the first is that of results."""
    media_type: str
    writes: bool = True
    """Whether results can have it."""
    animation: bool = False
    """Whether it holds several frames with durations."""
    pages: bool = False
    """Whether it holds several pictures without durations."""
    alpha: bool = True
    deep: bool = False
    """Whether it holds 16 bits a sample."""
    longest_side: int | None = None
    """Pixels; None: more than the server's limits allow."""
    lossy: bool = False
    """Whether `quality` says something of it."""
    extra: bool = False
    """Whether it needs the packages of `sakuga-server[formats]`."""


FORMATS = (
    FileFormat(
        name="png",
        title="PNG",
        suffixes=(".png", ".apng"),
        media_type="image/png",
        animation=True,
        deep=True,
    ),
    FileFormat(
        name="jpeg",
        title="JPEG",
        suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
        media_type="image/jpeg",
        alpha=False,
        longest_side=65535,
        lossy=True,
    ),
    FileFormat(
        name="webp",
        title="WebP",
        suffixes=(".webp",),
        media_type="image/webp",
        animation=True,
        longest_side=16383,
        lossy=True,
    ),
    FileFormat(
        name="gif",
        title="GIF",
        suffixes=(".gif",),
        media_type="image/gif",
        animation=True,
        longest_side=65535,
    ),
    FileFormat(
        name="avif",
        title="AVIF",
        suffixes=(".avif", ".avifs"),
        media_type="image/avif",
        animation=True,
        longest_side=65535,
        lossy=True,
    ),
    FileFormat(
        name="tiff",
        title="TIFF",
        suffixes=(".tif", ".tiff"),
        media_type="image/tiff",
        pages=True,
        deep=True,
    ),
    FileFormat(name="bmp", title="BMP", suffixes=(".bmp", ".dib"), media_type="image/bmp"),
    FileFormat(
        name="tga",
        title="TGA",
        suffixes=(".tga",),
        media_type="image/x-tga",
        longest_side=65535,
    ),
    FileFormat(name="qoi", title="QOI", suffixes=(".qoi",), media_type="image/qoi"),
    FileFormat(
        name="heic",
        title="HEIC",
        suffixes=(".heic", ".heif", ".hif"),
        media_type="image/heic",
        longest_side=16384,
        lossy=True,
        extra=True,
    ),
    FileFormat(
        name="jxl",
        title="JPEG XL",
        suffixes=(".jxl",),
        media_type="image/jxl",
        lossy=True,
        extra=True,
    ),
    FileFormat(
        name="psd",
        title="PSD",
        suffixes=(".psd",),
        media_type="image/vnd.adobe.photoshop",
        writes=False,
    ),
    FileFormat(
        name="ico",
        title="ICO",
        suffixes=(".ico",),
        media_type="image/vnd.microsoft.icon",
        writes=False,
    ),
)

BY_NAME = {row.name: row for row in FORMATS}
BY_SUFFIX = {suffix: row for row in FORMATS for suffix in row.suffixes}

# Other names of the option `format`.
ALIASES = {"jpg": "jpeg", "jfif": "jpeg", "tif": "tiff", "apng": "png", "heif": "heic"}

# How files begin. TGA has no such mark.
_MARKS = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
    b"BM": "bmp",
    b"qoif": "qoi",
    b"\xff\x0a": "jxl",
    b"\0\0\0\x0cJXL \r\n\x87\n": "jxl",
    b"8BPS": "psd",
    b"\0\0\1\0": "ico",
}
# Brands of the `ftyp` box with which AVIF and HEIC begin (ISO/IEC 14496-12, 23008-12).
_BRANDS = {b"avif": "avif", b"avis": "avif"}
_BRANDS |= dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "heic")

# The lengths of what a BMP's header may be.
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)

HEAD = 64  # bytes of a file that `recognised` needs


def recognised(head: bytes) -> FileFormat | None:
    """The format of a file, by its first HEAD bytes; None where they tell none."""
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") not in _BMP_HEADERS:
        return None  # many a text begins with these two letters
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return BY_NAME["webp"]
    if head[4:8] == b"ftyp":
        brands = (head[8:12], *(head[at : at + 4] for at in range(16, len(head) - 3, 4)))
        named = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        # `mif1` says only that it is a picture of one of these.
        return BY_NAME[named[0]] if named else BY_NAME["heic"] if b"mif1" in brands else None
    return next((BY_NAME[name] for mark, name in _MARKS.items() if head.startswith(mark)), None)


def result_format(
    wanted: str | None, source: FileFormat | None, *, frames: bool, adds_alpha: bool
) -> FileFormat:
    """The format of a result.

    Args:
        wanted: the option `format`: a name of a row, `auto`, or None for the default, which is png
            for single pictures and `auto` for several frames.
        source: the format of the input; None: unknown.
        frames: whether the result has several frames or pages.
        adds_alpha: whether the action makes an opaque picture transparent.

    Returns:
        For `auto` that of the input, if it holds such results; else PNG, or for frames WebP.
    """
    if wanted not in (None, "auto"):
        return BY_NAME[str(wanted)]
    if wanted is None and not frames:
        return BY_NAME["png"]
    fits = source is not None and source.writes and (source.alpha or not adds_alpha)
    if source is not None and fits and (not frames or source.animation or source.pages):
        return source
    return BY_NAME["webp" if frames else "png"]
