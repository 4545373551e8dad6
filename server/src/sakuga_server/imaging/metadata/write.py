"""Metadata as the parts of files that hold it. All of it is `translated` for the format."""

import struct
from collections.abc import Iterator

from zlib_ng import zlib_ng

from sakuga_server.imaging.metadata import from_jpeg, photoshop, resolution, xmp
from sakuga_server.imaging.metadata.chunks import chunk
from sakuga_server.imaging.metadata.from_others import GIF_SKIP, GIF_XMP
from sakuga_server.imaging.metadata.from_png import RAW_PROFILE, XMP_KEYWORD
from sakuga_server.imaging.metadata.record import Color, Metadata, Text

SEGMENT = 65533  # bytes of a JPEG's segment, without its length
_GUID = 32


def png_chunks(metadata: Metadata) -> bytes:
    """Chunks for the place between a PNG's header and its pixels."""
    return b"".join(_png_chunks(metadata))


def _png_chunks(metadata: Metadata) -> Iterator[bytes]:
    yield from _colors(metadata.color or Color(), metadata.icc)
    if metadata.dpi:
        size = resolution.per_metre(metadata.dpi)
        yield chunk(b"pHYs", struct.pack(">IIB", *size, 1))
    if metadata.exif:
        yield chunk(b"eXIf", metadata.exif)
    if metadata.iptc:
        yield _iptc_chunk(metadata.iptc)
    for text in metadata.text:
        yield _text_chunk(text)
    if metadata.xmp:
        yield _text_chunk(Text(XMP_KEYWORD, metadata.xmp.decode(), international=True))


def _colors(color: Color, icc: bytes | None) -> Iterator[bytes]:
    """Those that say most first (PNG, third edition, 4.3); sRGB isn't allowed beside a profile."""
    if color.cicp is not None:
        yield chunk(b"cICP", bytes(color.cicp))
    if icc:
        yield chunk(b"iCCP", b"ICC profile\0\0" + zlib_ng.compress(icc))
    elif color.srgb is not None:
        yield chunk(b"sRGB", bytes((color.srgb,)))
    if color.gamma is not None:
        yield chunk(b"gAMA", struct.pack(">I", color.gamma))
    if color.chromaticities is not None:
        yield chunk(b"cHRM", struct.pack(">8I", *color.chromaticities))
    if color.mastering is not None:
        yield chunk(b"mDCV", color.mastering)
    if color.light is not None:
        yield chunk(b"cLLI", color.light)


def _text_chunk(text: Text) -> bytes:
    keyword = text.keyword.encode("latin-1") + b"\0"
    body = text.text.encode("utf-8" if text.international else "latin-1")
    body = zlib_ng.compress(body) if text.deflated else body
    if text.international:
        flags = bytes((text.deflated, 0))
        names = text.language.encode("latin-1") + b"\0" + text.translated.encode() + b"\0"
        return chunk(b"iTXt", keyword + flags + names + body)
    return (
        chunk(b"zTXt", keyword + b"\0" + body) if text.deflated else chunk(b"tEXt", keyword + body)
    )


def _iptc_chunk(records: bytes) -> bytes:
    """As ImageMagick writes it, and exiftool and Exiv2 read it: PNG has no chunk of its own."""
    body = photoshop.resource(photoshop.IPTC, records)
    digits = body.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = f"\niptc\n{len(body):8}\n{lines}\n".encode()
    keyword = f"{RAW_PROFILE}iptc".encode()
    return chunk(b"zTXt", keyword + b"\0\0" + zlib_ng.compress(text))


def webp_chunks(metadata: Metadata) -> list[tuple[bytes, bytes]]:
    """Names and bodies of chunks of WebP, in the order that the format asks for: the profile before
    the pixels, the others after them."""
    parts = ((b"ICCP", metadata.icc), (b"EXIF", metadata.exif), (b"XMP ", metadata.xmp))
    return [(name, body) for name, body in parts if body]


def gif_blocks(metadata: Metadata) -> bytes:
    """Extensions for the place between a GIF's colour table and its pictures."""
    blocks = b""
    if metadata.comment:
        pieces = (metadata.comment[at : at + 255] for at in range(0, len(metadata.comment), 255))
        blocks += b"\x21\xfe" + b"".join(bytes((len(p),)) + p for p in pieces) + b"\0"
    if metadata.xmp:
        blocks += b"\x21\xff\x0b" + GIF_XMP + metadata.xmp + GIF_SKIP
    return blocks


def jpeg_segments(metadata: Metadata) -> bytes:
    """Segments for the place behind a JPEG's JFIF header, which has the resolution."""
    return b"".join(_segment(marker, body) for marker, body in _jpeg_segments(metadata))


def _jpeg_segments(metadata: Metadata) -> Iterator[tuple[int, bytes]]:
    if metadata.exif:
        yield from_jpeg.APP1, from_jpeg.EXIF + metadata.exif
    for body in _xmp_segments(metadata.xmp or b""):
        yield from_jpeg.APP1, body
    if metadata.iptc:
        resources = photoshop.resource(photoshop.IPTC, metadata.iptc)
        for piece in _pieces(resources, SEGMENT - len(from_jpeg.PHOTOSHOP)):
            yield from_jpeg.APP13, from_jpeg.PHOTOSHOP + piece
    profile = _pieces(metadata.icc or b"", SEGMENT - len(from_jpeg.ICC) - 2)
    for number, piece in enumerate(profile, 1):
        yield from_jpeg.APP2, from_jpeg.ICC + bytes((number, len(profile))) + piece
    if metadata.comment:
        yield from_jpeg.COM, metadata.comment


def _xmp_segments(packet: bytes) -> Iterator[bytes]:
    if len(from_jpeg.XMP) + len(packet) <= SEGMENT:
        if packet:
            yield from_jpeg.XMP + packet
        return
    short, guid, rest = xmp.split(packet)
    yield from_jpeg.XMP + short
    at = 0
    for piece in _pieces(rest, SEGMENT - len(from_jpeg.XMP_REST) - _GUID - 8):
        yield from_jpeg.XMP_REST + guid.encode() + struct.pack(">II", len(rest), at) + piece
        at += len(piece)


def _pieces(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
