"""Metadata in memory, between the file it is read from and those it is written to."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict


@dataclass(frozen=True)
class Text:
    """A text of a PNG (third edition, 11.3.3)."""

    keyword: str
    """1 to 79 characters of Latin-1."""
    text: str
    language: str = ""
    """RFC 3066; iTXt alone has it."""
    translated: str = ""
    """The keyword in that language; iTXt alone has it."""
    international: bool = False
    """Whether it was iTXt, which is UTF-8, and not tEXt or zTXt, which are Latin-1."""
    deflated: bool = False
    """Whether it was compressed: zTXt, or iTXt that says so."""


@dataclass(frozen=True)
class Color:
    """What says how RGB or gray samples are shown, other than an ICC profile."""

    cicp: tuple[int, int, int, int] | None = None
    """Colour primaries, transfer, matrix and full range, as numbers of ITU-T H.273."""
    gamma: int | None = None
    """PNG's gAMA: 100,000 times the exponent of the encoding; 45455 for 1/2.2."""
    chromaticities: tuple[int, int, int, int, int, int, int, int] | None = None
    """PNG's cHRM: 100,000 times x and y of white, red, green and blue."""
    srgb: int | None = None
    """PNG's sRGB: the rendering intent, 0 to 3."""
    mastering: bytes | None = None
    """PNG's mDCV: the display that an HDR picture was made on, 24 bytes."""
    light: bytes | None = None
    """PNG's cLLI: the light levels of an HDR picture, 8 bytes."""


@dataclass(frozen=True)
class Metadata:
    """All metadata of a file. pydantic writes it as JSON, with bytes in base64."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        ser_json_bytes="base64", val_json_bytes="base64"
    )

    icc: bytes | None = None
    """ICC colour profile."""
    exif: bytes | None = None
    """EXIF from its TIFF header on, without "Exif\\0\\0"; its orientation is 1, and it has no
    thumbnail."""
    xmp: bytes | None = None
    """The XMP packet, XML in UTF-8."""
    iptc: bytes | None = None
    """Records of IPTC's Information Interchange Model, as they lie in a file."""
    comment: bytes | None = None
    """The comment of a JPEG or GIF; its encoding is stated nowhere, and mostly UTF-8."""
    dpi: tuple[float, float] | None = None
    """Pixels per inch, along x and y."""
    text: tuple[Text, ...] = ()
    """Texts of a PNG, but for XMP."""
    color: Color | None = None
