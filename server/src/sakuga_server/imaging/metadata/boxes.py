"""Metadata of AVIF, HEIC and JPEG XL, whose files are boxes in boxes (ISO/IEC 14496-12)."""

from collections.abc import Iterator

from PIL import Image

from sakuga_server.imaging.metadata import exif
from sakuga_server.imaging.metadata.raw import Raw

PRIMARIES_OF_SRGB, UNSPECIFIED = 1, 2
CURVES_OF_SRGB = (1, 6, 13)
MOST_BOXES = 100_000


def heif(data: bytes, image: Image.Image | None) -> Raw:
    """AVIF and HEIC: what Pillow and its plugin give, and the colours, which they don't."""
    raw = _pillows(image)
    if raw.icc is None:
        cicp = _nclx(data)
        if cicp is not None:
            raw.color["cicp"] = cicp
    return raw


def jxl(data: bytes, image: Image.Image | None) -> Raw:
    """Its boxes; the profile lies in the coded picture, and Pillow's plugin has it."""
    raw = Raw(icc=_pillows(image).icc)
    for kind, start, end in boxes(data, 0, len(data)):
        if kind == b"Exif":
            raw.exif = raw.exif or _from_header(data[start:end])
        elif kind == b"xml ":
            raw.xmp = raw.xmp or data[start:end]
    return raw


def _pillows(image: Image.Image | None) -> Raw:
    """What Pillow and its plugins give."""
    info = dict(image.info) if image is not None else {}
    packet = info.get("xmp")
    return Raw(
        icc=info.get("icc_profile") or None,
        exif=(info.get("exif") or b"").removeprefix(exif.MARK) or None,
        xmp=packet.encode() if isinstance(packet, str) else packet,
    )


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the contents of each box, as far as they are whole."""
    for _ in range(MOST_BOXES):
        if start + 8 > end:
            return
        size, kind, head = (
            int.from_bytes(data[start : start + 4], "big"),
            data[start + 4 : start + 8],
            8,
        )
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        stop = start + size if size else end
        if not start + head <= stop <= end:
            return
        yield kind, start + head, stop
        start = stop


def _nclx(data: bytes) -> tuple[int, int, int, int] | None:
    """The first of a file's numbers of H.273, as they are true of its pixels as RGB; None where
    there are none, or those of sRGB."""
    start, end = 0, len(data)
    for wanted, skip in ((b"meta", 4), (b"iprp", 0), (b"ipco", 0)):
        found = next((box for box in boxes(data, start, end) if box[0] == wanted), None)
        if found is None:
            return None
        start, end = found[1] + skip, found[2]
    for kind, at, stop in boxes(data, start, end):
        if kind == b"colr" and data[at : at + 4] == b"nclx" and stop - at >= 10:
            primaries = int.from_bytes(data[at + 4 : at + 6], "big")
            transfer = int.from_bytes(data[at + 6 : at + 8], "big")
            plain = primaries in (PRIMARIES_OF_SRGB, UNSPECIFIED)
            plain = plain and transfer in (*CURVES_OF_SRGB, UNSPECIFIED)
            return None if plain or max(primaries, transfer) > 255 else (primaries, transfer, 0, 1)
    return None


def _from_header(body: bytes) -> bytes:
    """EXIF behind the offset of its TIFF header, which not every writer writes."""
    if body[:4] in (b"II*\0", b"MM\0*"):
        return body
    return body[4 + int.from_bytes(body[:4], "big") :].removeprefix(exif.MARK)
