"""Photoshop's image resources, which hold IPTC in JPEG, TIFF and PSD.

Adobe's Photoshop File Formats Specification, "Image Resource Blocks".
"""

import struct

MOST = 1000  # resources; there are about a hundred kinds
RESOLUTION, IPTC, ICC, EXIF, XMP = 0x03ED, 0x0404, 0x040F, 0x0422, 0x0424


def resources(data: bytes) -> dict[int, bytes]:
    """The first of each kind, by its number, as far as they can be read."""
    found: dict[int, bytes] = {}
    at = 0
    while data[at : at + 4] == b"8BIM" and at + 12 <= len(data) and len(found) < MOST:
        (number,) = struct.unpack_from(">H", data, at + 4)
        name = data[at + 6] + 1
        start = at + 6 + name + name % 2
        if start + 4 > len(data):
            break
        (size,) = struct.unpack_from(">I", data, start)
        body = data[start + 4 : start + 4 + size]
        if len(body) == size:
            found.setdefault(number, body)
        at = start + 4 + size + size % 2
    return found


def resource(number: int, body: bytes) -> bytes:
    head = struct.pack(">4sHHI", b"8BIM", number, 0, len(body))
    return head + body + bytes(len(body) % 2)


def dpi(body: bytes) -> tuple[float, float] | None:
    """What the resource RESOLUTION says: pixels per inch in 16.16 fixed point."""
    if len(body) < 16:
        return None
    x, y = struct.unpack_from(">I4xI", body)
    return (x / 65536, y / 65536) if x and y else None


def checked_iptc(records: bytes) -> bytes:
    """IPTC's records without the padding behind them (IIM 4.1, section 1.5).

    Raises:
        ValueError: they aren't such records.
    """
    at = 0
    while records[at : at + 1] == b"\x1c":
        if at + 5 > len(records):
            raise ValueError("it is truncated")
        size = int.from_bytes(records[at + 3 : at + 5], "big")
        if size & 0x8000:  # the length of the length
            count = size & 0x7FFF
            size = int.from_bytes(records[at + 5 : at + 5 + count], "big") + count
        at += 5 + size
    if at == 0 or at > len(records) or records[at:].strip(b"\0"):
        raise ValueError("it has no sound records")
    return records[:at]
