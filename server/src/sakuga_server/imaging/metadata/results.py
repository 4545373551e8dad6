"""Metadata that is true of a result, of its size and colours, in the kinds its format can hold."""

import re
from dataclasses import replace

from sakuga_server.imaging.metadata import color, exif, icc, jpeg, xmp
from sakuga_server.imaging.metadata.exif import Exif
from sakuga_server.imaging.metadata.ifd import text
from sakuga_server.imaging.metadata.record import Metadata, Text

# What each format has a place for; docs/reference/metadata.md has the same table.
HOLDS = {
    "png": {"icc", "exif", "xmp", "iptc", "dpi", "text", "color"},
    "jpeg": {"icc", "exif", "xmp", "iptc", "dpi", "comment"},
    "webp": {"icc", "exif", "xmp"},
    "gif": {"xmp", "comment"},
    "avif": {"icc", "exif", "xmp"},
    "tiff": {"icc", "exif", "xmp", "iptc", "dpi"},
    "bmp": {"dpi"},
    "tga": set[str](),
    "qoi": set[str](),
    "heic": {"icc", "exif", "xmp"},
    "jxl": {"exif", "xmp"},
    "raw": set[str](),
}
NAMES = {
    "icc": "ICC profile",
    "exif": "EXIF",
    "xmp": "XMP",
    "iptc": "IPTC",
    "comment": "comment",
    "dpi": "resolution",
}
LONGEST_JPEG_EXIF = jpeg.SEGMENT - len(jpeg.EXIF)
LONGEST_JPEG_COMMENT = jpeg.SEGMENT
LONGEST_JPEG_PROFILE = 255 * (jpeg.SEGMENT - len(jpeg.ICC) - 2)  # segments are numbered in a byte

PARAMETERS, COMMENT, TITLE = "parameters", "Comment", "Title"
# Where ComfyUI writes and looks for them in WebP and AVIF, with their names before them.
_COMFYUI = {"prompt": exif.MODEL, "workflow": exif.MAKE}
# PNG's own keywords (third edition, 11.3.3.2) that EXIF has tags for.
_KEYWORDS = {
    "Description": exif.DESCRIPTION,
    "Author": exif.ARTIST,
    "Copyright": exif.COPYRIGHT,
    "Software": exif.SOFTWARE,
    TITLE: exif.DESCRIPTION,
}


def fitted(metadata: Metadata, width: int, height: int, gray: bool) -> tuple[Metadata, list[str]]:
    """The metadata of a picture of this size whose pixels are gray, or RGB.

    EXIF and XMP tell the new size wherever they told one. A colour profile for other pixels is
    replaced by one that shows these alike, or dropped.

    Returns:
        The metadata, and a warning where a profile was dropped.
    """
    exif, packet = metadata.exif, metadata.xmp
    if exif:
        parsed, _ = Exif.parse(exif)
        parsed.resize(width, height)
        exif = parsed.to_bytes()
    if packet:
        packet = xmp.resized(packet, width, height)
    profile, warnings = _fitting(metadata.icc, gray)
    return replace(metadata, exif=exif, xmp=packet, icc=profile), warnings


def _fitting(profile: bytes | None, gray: bool) -> tuple[bytes | None, list[str]]:
    if profile is None or icc.space(profile) == ("GRAY" if gray else "RGB"):
        return profile, []
    if icc.space(profile) in ("GRAY", "RGB"):
        other = icc.for_gray(profile) if gray else icc.for_rgb(profile)
        if other is not None:
            return other, []
    pixels = "gray" if gray else "RGB"
    return None, [
        f"the colour profile is for {icc.space(profile)}, not for {pixels}; it was dropped"
    ]


def translated(metadata: Metadata, format: str) -> tuple[Metadata, list[str]]:
    """The metadata in the kinds that a format has a place for.

    PNG's texts go into EXIF, or the comment of a GIF, and back; a comment into PNG's text or EXIF;
    the resolution into EXIF; PNG's colours into an ICC profile. Formats without profiles need their
    pixels converted before.

    Returns:
        The metadata, and warnings that name what the format has no place for.
    """
    holds, lost = HOLDS[format], list[str]()
    result, warnings = _colors(metadata, holds)
    if format == "png":
        return _for_png(result), warnings
    if "exif" in holds:
        result, lost = _into_exif(result, format)
    elif "comment" in holds:
        result, lost = _into_comment(result)
    else:
        lost = [_text_name(t) for t in result.text]
    lost += [name for kind, name in NAMES.items() if kind not in holds and getattr(result, kind)]
    if lost:
        warnings.append(f"{format} can't store {', '.join(lost)}; dropped")
    kept = {kind: getattr(result, kind) for kind in NAMES if kind in holds}
    return Metadata(**kept), warnings


def _colors(metadata: Metadata, holds: set[str]) -> tuple[Metadata, list[str]]:
    if metadata.color is None or "color" in holds:
        return metadata, []
    bare = replace(metadata, color=None)
    if metadata.icc is not None:
        return bare, []
    try:
        profile = color.profile(metadata.color)
    except ValueError as error:
        return bare, [f"the colours of the PNG were dropped: {error}"]
    if profile is None:
        return bare, []
    warnings = ["the colours that the PNG's chunks state were written as an ICC profile"]
    return replace(bare, icc=profile), warnings if "icc" in holds else []


def _for_png(metadata: Metadata) -> Metadata:
    texts = list(metadata.text)
    there = {t.keyword for t in texts}
    if metadata.comment and COMMENT not in there:
        texts.append(_text(COMMENT, _decoded(metadata.comment)))
    content = metadata.exif
    if content:
        parsed, _ = Exif.parse(content)
        found = _generators(parsed)
        texts += [_text(k, v) for k, v in found.items() if k not in there]
        if metadata.dpi and exif.X_RESOLUTION in parsed.main:
            parsed.set_dpi(metadata.dpi)
        content = parsed.to_bytes() if parsed else None
    return replace(metadata, comment=None, exif=content, text=tuple(texts))


def _generators(parsed: Exif) -> dict[str, str]:
    """Texts that generators of pictures keep in EXIF, under the names that they have in a PNG.

    ComfyUI's are taken out of EXIF, where they stand for a camera's maker and model.
    """
    found = {}
    if re.search(r"\bSteps: \d+, ", parsed.user_comment):
        found[PARAMETERS] = parsed.user_comment
    for keyword, code in _COMFYUI.items():
        value = parsed.string(code)
        if value.startswith(f"{keyword}:"):
            found[keyword] = value.removeprefix(f"{keyword}:")
            del parsed.main[code]
    return found


def _into_exif(metadata: Metadata, format: str) -> tuple[Metadata, list[str]]:
    """Texts, comment and resolution where EXIF has a place for them that is free."""
    parsed = Exif.parse(metadata.exif)[0] if metadata.exif else Exif()
    comment, own, lost = metadata.comment, HOLDS[format], list[str]()
    if comment and "comment" not in own and _set_user_comment(parsed, _decoded(comment)):
        comment = None
    for t in sorted(metadata.text, key=lambda t: t.keyword == TITLE):  # after Description
        if t.keyword == COMMENT and "comment" in own and comment is None:
            comment = t.text.encode()
        else:
            lost += _set(parsed, t, format)
    if metadata.dpi and (exif.X_RESOLUTION in parsed.main or "dpi" not in own):
        parsed.set_dpi(metadata.dpi)
    content = parsed.to_bytes() if parsed else None
    dpi = metadata.dpi if "dpi" in own else None
    result = replace(metadata, exif=content, comment=comment, text=(), dpi=dpi)
    return _short_enough(result, lost) if format == "jpeg" else (result, lost)


def _short_enough(metadata: Metadata, lost: list[str]) -> tuple[Metadata, list[str]]:
    """Without what no segment of a JPEG can hold."""
    if metadata.exif and len(metadata.exif) > LONGEST_JPEG_EXIF:
        lost = [*lost, f"EXIF of {len(metadata.exif)} bytes"]
        metadata = replace(metadata, exif=None)
    if metadata.icc and len(metadata.icc) > LONGEST_JPEG_PROFILE:
        lost = [*lost, f"ICC profile of {len(metadata.icc)} bytes"]
        metadata = replace(metadata, icc=None)
    if metadata.comment and len(metadata.comment) > LONGEST_JPEG_COMMENT:
        lost = [*lost, f"comment of {len(metadata.comment)} bytes"]
        metadata = replace(metadata, comment=None)
    return metadata, lost


def _set(parsed: Exif, t: Text, format: str) -> list[str]:
    """Writes a text into EXIF, if its place is free, and no JPEG becomes too long; what is lost.

    A generator's parameters replace another comment, as AUTOMATIC1111's webui does.
    """
    before, replaced = parsed.copy(), list[str]()
    if t.keyword == PARAMETERS:
        replaced = ["the EXIF's UserComment"] if parsed.user_comment not in ("", t.text) else []
        parsed.user_comment, done = t.text, True
    elif t.keyword == COMMENT:
        done = _set_user_comment(parsed, t.text)
    elif t.keyword in _COMFYUI:
        done = _set_tag(parsed, _COMFYUI[t.keyword], f"{t.keyword}:{t.text}")
    else:
        done = t.keyword in _KEYWORDS and _set_tag(parsed, _KEYWORDS[t.keyword], t.text)
    if done and format == "jpeg" and len(parsed.to_bytes()) > LONGEST_JPEG_EXIF:
        parsed.main, parsed.photo = before.main, before.photo
        done = False
    return replaced if done else [_text_name(t)]


def _set_user_comment(parsed: Exif, value: str) -> bool:
    if parsed.user_comment not in ("", value):
        return False
    parsed.user_comment = value
    return True


def _set_tag(parsed: Exif, code: int, value: str) -> bool:
    if parsed.string(code) not in ("", value):
        return False
    parsed.main[code] = text(value)
    return True


def _into_comment(metadata: Metadata) -> tuple[Metadata, list[str]]:
    """As AUTOMATIC1111's webui has its parameters in a GIF."""
    texts = {t.keyword: t for t in metadata.text}
    first = texts.get(COMMENT) or texts.get(PARAMETERS)
    if metadata.comment is None and first is not None:
        metadata = replace(metadata, comment=first.text.encode())
        return metadata, [_text_name(t) for t in metadata.text if t is not first]
    return metadata, [_text_name(t) for t in metadata.text]


def _text(keyword: str, value: str) -> Text:
    latin = all(ord(c) < 256 for c in value)
    return Text(keyword, value, international=not latin)


def _text_name(t: Text) -> str:
    return f"PNG text {t.keyword!r}"


def _decoded(comment: bytes) -> str:
    try:
        return comment.decode()
    except UnicodeDecodeError:
        return comment.decode("latin-1")
