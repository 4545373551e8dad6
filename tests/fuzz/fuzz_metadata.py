"""Metadata of every format: what is sound is read, and written into every format."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import fuzzing
from metadata_for_tests import EXIF, XMP, jpeg_with, png_with, tiff_stream
from pictures import case, encoded, gradient
from sakuga_core.formats import FORMATS
from sakuga_server.imaging import metadata
from sakuga_server.imaging.metadata import HOLDS
from sakuga_server.imaging.metadata.icc import D65, SRGB_CURVE, SRGB_PRIMARIES, of_primaries
from sakuga_server.imaging.metadata.photoshop import IPTC, resource

NAMES = [row.name for row in FORMATS]
LIMIT = 2**16  # bytes of metadata


LOG = logging.getLogger("sakuga_server.imaging.metadata.read")


@contextmanager
def _no_surprise() -> Iterator[None]:
    """No parser raises what it doesn't say; whatever it raises, its caller drops all metadata."""

    def fail(record: logging.LogRecord) -> bool:
        assert isinstance(record.args, tuple)
        assert isinstance(record.args[1], ValueError), record.getMessage()
        return False

    before = LOG.level
    LOG.setLevel(logging.INFO)
    LOG.addFilter(fail)
    try:
        yield
    finally:
        LOG.removeFilter(fail)
        LOG.setLevel(before)


def check(data: bytes) -> None:
    """The first byte is the format."""
    name = NAMES[data[0] % len(NAMES)] if data else NAMES[0]
    with _no_surprise():
        found, warnings = metadata.read(data[1:], name, None, LIMIT)
        assert metadata.orientation(data[1:], name, None) in range(1, 9)
    assert len(warnings) <= 21
    assert max(map(len, warnings), default=0) < 500
    for target in HOLDS:
        _write(found, target)


def _write(found: metadata.Metadata, format: str) -> None:
    """Into a format, as its writer does."""
    fitting, _ = metadata.fitted(found, 40, 30, gray=False)
    result, _ = metadata.translated(fitting, format)
    if format == "jpeg":
        metadata.jpeg_segments(result)
    elif format == "png":
        file = png_with()
        file = file[:33] + metadata.png_chunks(result) + file[33:]
        again, warnings = metadata.read(file, "png", None)
        assert warnings == []
        assert (again.exif, again.xmp, again.icc) == (result.exif, result.xmp, result.icc)
    elif format == "gif":
        metadata.gif_blocks(result)
    elif format == "webp":
        metadata.webp_chunks(result)


def seeds() -> list[bytes]:
    pixels = gradient(8, 8)
    tags = [(0x0112, 3, 1, b"\6\0"), (0x010E, 2, 6, b"a rock"), (0x8769, 4, 1, b"\x08\0\0\0")]
    about = tiff_stream(tags)
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    profile = of_primaries(SRGB_PRIMARIES, D65, SRGB_CURVE)
    options = {"exif": b"Exif\0\0" + about, "xmp": packet, "icc_profile": profile}
    files = {
        "png": [case("meta.png")[:8000], png_with((b"eXIf", about), (b"gAMA", b"\0\0\xb1\x8f"))],
        "jpeg": [jpeg_with((0xE1, EXIF + about), (0xE1, XMP + packet), (0xFE, b"a comment"))],
        "webp": [encoded(pixels, "WEBP", **options)],
        "gif": [encoded(pixels, "GIF", comment=b"a comment")],
        "tiff": [encoded(pixels, "TIFF", dpi=(300, 300), description="a rock"), about],
        "bmp": [case("dpi.bmp")[:300]],
        "psd": [b"8BPS" + bytes(26) + b"\0\0\0\x14" + resource(IPTC, b"\x1c\2\5\0\3abc")],
        "avif": [case("plain.avif")[:600]],
        "jxl": [b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x20Exif\0\0\0\0" + about],
    }
    return [
        bytes((NAMES.index(name),)) + data for name, variants in files.items() for data in variants
    ]


TARGET = fuzzing.Target("metadata", check, seeds, ("sakuga_server.imaging.metadata",))

if __name__ == "__main__":
    fuzzing.main(TARGET)
