"""Metadata of JPEG, in segments before its pixels."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from sakuga_server.imaging.metadata import exif, photoshop, resolution, xmp
from sakuga_server.imaging.metadata.raw import CREDENTIALS, Budget, Raw
from sakuga_server.imaging.metadata.record import Metadata

JFIF, EXIF = b"JFIF\0", exif.MARK
XMP, XMP_REST = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
ICC, PHOTOSHOP = b"ICC_PROFILE\0", b"Photoshop 3.0\0"
APP0, APP1, APP2, APP11, APP13, COM = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xFE
SOS = 0xDA
SEGMENT = 65533  # bytes of a segment, without its length
MOST_SEGMENTS = 10_000
_GUID = 32


@dataclass
class _Parts:
    """Pieces of what takes several segments."""

    exif: list[bytes] = field(default_factory=list)
    icc: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    """By their numbers: how many there are, and the piece."""
    xmp_rest: dict[bytes, list[bytes]] = field(default_factory=dict)
    """By their GUID."""
    photoshop: list[bytes] = field(default_factory=list)


def read(data: bytes, budget: Budget) -> Raw:
    raw, parts = Raw(), _Parts()
    for marker, body in islice(segments(data), MOST_SEGMENTS):
        if marker == COM:
            raw.comments.append(body.rstrip(b"\0"))
        elif marker == APP0 and body.startswith(JFIF):
            raw.dpi = raw.dpi or _density(body)
        elif marker == APP11 and body[8:12] == b"jumb":
            budget.warn(CREDENTIALS)
        elif marker in (APP1, APP2, APP13):
            _take(raw, parts, marker, body)
    raw.exif = b"".join(parts.exif)  # some write one that is too long for a segment into several
    raw.icc = _profile(parts.icc, budget)
    raw.photoshop(b"".join(parts.photoshop))
    raw.xmp_rest = _rest(raw.xmp or b"", parts.xmp_rest, budget)
    return raw


def _take(raw: Raw, parts: _Parts, marker: int, body: bytes) -> None:
    if marker == APP1 and body.startswith(EXIF):
        parts.exif.append(body[len(EXIF) :])
    elif marker == APP1 and body.startswith(XMP):
        raw.xmp = raw.xmp or body[len(XMP) :]
    elif marker == APP1 and body.startswith(XMP_REST):
        rest = body[len(XMP_REST) :]
        parts.xmp_rest.setdefault(rest[:_GUID], []).append(rest[_GUID:])
    elif marker == APP2 and body.startswith(ICC) and len(body) > len(ICC) + 2:
        number, count = body[len(ICC) : len(ICC) + 2]
        parts.icc.setdefault(number, (count, body[len(ICC) + 2 :]))
    elif marker == APP13 and body.startswith(PHOTOSHOP):
        parts.photoshop.append(body[len(PHOTOSHOP) :])


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and body of those before the pixels, as far as they are whole."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without a body
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in (SOS, 0xD9) or at + 2 + length > len(data):
            return
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length


def _density(body: bytes) -> tuple[float, float] | None:
    if len(body) < 12:
        return None
    unit, x, y = struct.unpack_from(">BHH", body, 7)
    if unit == 1 and x and y:
        return float(x), float(y)
    return resolution.from_centimetre(x, y) if unit == 2 else None


def _profile(parts: dict[int, tuple[int, bytes]], budget: Budget) -> bytes | None:
    """The pieces in their order (ICC.1, annex B.4)."""
    if not parts:
        return None
    count = next(iter(parts.values()))[0]
    if sorted(parts) != list(range(1, count + 1)):
        budget.damaged("ICC profile", f"{len(parts)} of {count} parts are there")
        return None
    return b"".join(parts[n][1] for n in sorted(parts))


def _rest(packet: bytes, parts: dict[bytes, list[bytes]], budget: Budget) -> bytes | None:
    """The extension to which a packet points; there may be outdated ones."""
    guid = next((guid for guid in parts if guid in packet), None)
    if guid is None:
        return None
    total = int.from_bytes(parts[guid][0][:4], "big")
    pieces = sorted((int.from_bytes(part[4:8], "big"), part[8:]) for part in parts[guid])
    whole, at = [], 0
    for start, piece in pieces:
        if start == at:
            whole.append(piece)
            at += len(piece)
    if at != total:
        budget.damaged("extended XMP", f"{at} of {total} bytes are there")
        return None
    return b"".join(whole)


def jpeg_segments(metadata: Metadata) -> bytes:
    """Segments for the place behind a JPEG's JFIF header, which has the resolution."""
    return b"".join(_segment(marker, body) for marker, body in _jpeg_segments(metadata))


def _jpeg_segments(metadata: Metadata) -> Iterator[tuple[int, bytes]]:
    if metadata.exif:
        yield APP1, EXIF + metadata.exif
    for body in _xmp_segments(metadata.xmp or b""):
        yield APP1, body
    if metadata.iptc:
        resources = photoshop.resource(photoshop.IPTC, metadata.iptc)
        for piece in _pieces(resources, SEGMENT - len(PHOTOSHOP)):
            yield APP13, PHOTOSHOP + piece
    profile = _pieces(metadata.icc or b"", SEGMENT - len(ICC) - 2)
    for number, piece in enumerate(profile, 1):
        yield APP2, ICC + bytes((number, len(profile))) + piece
    if metadata.comment:
        yield COM, metadata.comment


def _xmp_segments(packet: bytes) -> Iterator[bytes]:
    if len(XMP) + len(packet) <= SEGMENT:
        if packet:
            yield XMP + packet
        return
    short, guid, rest = xmp.split(packet)
    yield XMP + short
    at = 0
    for piece in _pieces(rest, SEGMENT - len(XMP_REST) - _GUID - 8):
        yield XMP_REST + guid.encode() + struct.pack(">II", len(rest), at) + piece
        at += len(piece)


def _pieces(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
