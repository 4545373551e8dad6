"""Metadata of PNG, in chunks of its own (third edition, 11.3)."""

import struct
from collections.abc import Callable, Iterator

from zlib_ng import zlib_ng

from sakuga_server.imaging.metadata import color, jpeg, photoshop, resolution
from sakuga_server.imaging.metadata.chunks import chunk, chunks
from sakuga_server.imaging.metadata.raw import CREDENTIALS, Budget, Raw, TooMuchError
from sakuga_server.imaging.metadata.record import Color, Metadata, Text

XMP_KEYWORD = "XML:com.adobe.xmp"
RAW_PROFILE = "Raw profile type "
MOST_TEXTS = 10_000


def read(data: bytes, budget: Budget) -> Raw:
    raw = Raw()
    for kind, body, right in chunks(data):
        work = _READERS.get(kind)
        if work is None:
            continue
        name = _NAMES.get(kind, kind.decode("latin-1"))
        if not right:
            budget.damaged(name, "wrong checksum")
            continue
        try:
            work(raw, bytes(body), budget)
        except TooMuchError:
            budget.keeps(name, budget.limit + 1)
        except ValueError as error:
            budget.damaged(name, str(error))
    return raw


def _icc(raw: Raw, body: bytes, budget: Budget) -> None:
    _, method, stream = _cut(body, 1)
    if raw.icc is None and method == b"\0":
        raw.icc = budget.inflated(stream)


def _exif(raw: Raw, body: bytes, budget: Budget) -> None:
    raw.exif = raw.exif or body.removeprefix(jpeg.EXIF)


def _resolution(raw: Raw, body: bytes, budget: Budget) -> None:
    if len(body) == 9 and body[8] == 1:  # 0 is a shape of pixels alone
        x, y = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
        raw.dpi = raw.dpi or resolution.from_metre(x, y)


def _intent(body: bytes) -> int:
    if len(body) != 1 or body[0] > 3:
        raise ValueError("it is no rendering intent")
    return body[0]


def _bytes(count: int) -> Callable[[bytes], bytes]:
    def of(body: bytes) -> bytes:
        if len(body) != count:
            raise ValueError(f"it has {len(body)} bytes, not {count}")
        return body

    return of


def _color(part: str, read: Callable[[bytes], object]) -> Callable[[Raw, bytes, Budget], None]:
    def of(raw: Raw, body: bytes, budget: Budget) -> None:
        raw.color.setdefault(part, read(body))

    return of


def _plain(raw: Raw, body: bytes, budget: Budget) -> None:
    keyword, text = _keyword(body)
    _add(raw, budget, Text(keyword, text.decode("latin-1")))


def _deflated(raw: Raw, body: bytes, budget: Budget) -> None:
    keyword, rest = _keyword(body)
    text = budget.inflated(rest[1:])
    if keyword.startswith(RAW_PROFILE):
        _raw_profile(raw, keyword.removeprefix(RAW_PROFILE).strip(), text)
    else:
        _add(raw, budget, Text(keyword, text.decode("latin-1"), deflated=True))


def _international(raw: Raw, body: bytes, budget: Budget) -> None:
    keyword, rest = _keyword(body)
    parts = rest[2:].split(b"\0", 2)
    if len(rest) < 2 or len(parts) < 3:
        raise ValueError("it is truncated")
    language, translated, text = parts
    text = budget.inflated(text) if rest[0] else text
    if keyword == XMP_KEYWORD:
        raw.xmp = raw.xmp or text
        return
    try:
        decoded = (text.decode(), language.decode("latin-1"), translated.decode())
    except UnicodeDecodeError:
        raise ValueError("it isn't UTF-8") from None
    _add(raw, budget, Text(keyword, *decoded, international=True, deflated=bool(rest[0])))


def _raw_profile(raw: Raw, kind: str, text: bytes) -> None:
    """What ImageMagick and others wrote in hexadecimal before PNG had chunks for it."""
    _, _, hexadecimal = text.lstrip(b"\n").split(b"\n", 2)
    body = bytes.fromhex(hexadecimal.decode("ascii"))
    if kind in ("exif", "APP1") and body.startswith(jpeg.EXIF):
        raw.exif = raw.exif or body.removeprefix(jpeg.EXIF)
    elif kind == "xmp" or body.startswith(jpeg.XMP):
        raw.xmp = raw.xmp or body.removeprefix(jpeg.XMP)
    elif kind in ("icc", "icm"):
        raw.icc = raw.icc or body
    elif kind in ("iptc", "8bim"):
        if body.startswith(b"8BIM"):
            raw.photoshop(body)
        else:
            raw.iptc = raw.iptc or body


def _credentials(raw: Raw, body: bytes, budget: Budget) -> None:
    budget.warn(CREDENTIALS)


def _add(raw: Raw, budget: Budget, text: Text) -> None:
    size = 2 * len(text.text) + len(text.translated)
    if len(raw.text) >= MOST_TEXTS:
        budget.warn(f"the file has more than {MOST_TEXTS} PNG texts; the rest was dropped")
    elif budget.keeps(f"PNG text {text.keyword!r}", size):
        raw.text.append(text)


def _keyword(body: bytes) -> tuple[str, bytes]:
    keyword, _, rest = _cut(body, 0)
    return keyword, rest


def _cut(body: bytes, more: int) -> tuple[str, bytes, bytes]:
    """The keyword, so many bytes after it, and the rest."""
    end = body.find(b"\0", 0, 80)
    if end < 1:
        raise ValueError("it has no keyword")
    return body[:end].decode("latin-1"), body[end + 1 : end + 1 + more], body[end + 1 + more :]


_NAMES = {
    b"iCCP": "ICC profile",
    b"eXIf": "EXIF",
    b"tEXt": "PNG text",
    b"zTXt": "PNG text",
    b"iTXt": "PNG text",
    b"pHYs": "resolution",
}
_READERS: dict[bytes, Callable[[Raw, bytes, Budget], None]] = {
    b"iCCP": _icc,
    b"eXIf": _exif,
    b"pHYs": _resolution,
    b"tEXt": _plain,
    b"zTXt": _deflated,
    b"iTXt": _international,
    b"cICP": _color("cicp", color.checked_cicp),
    b"gAMA": _color("gamma", color.checked_gamma),
    b"cHRM": _color("chromaticities", color.checked_chromaticities),
    b"sRGB": _color("srgb", _intent),
    b"mDCV": _color("mastering", _bytes(24)),
    b"cLLI": _color("light", _bytes(8)),
    b"caBX": _credentials,
}


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
