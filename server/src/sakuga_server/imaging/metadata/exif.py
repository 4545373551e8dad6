"""EXIF (CIPA DC-008) as its directories, with their values untouched."""

import struct
from dataclasses import dataclass, field, replace

from sakuga_server.imaging.metadata import ifd, resolution
from sakuga_server.imaging.metadata.ifd import Directory, Tag, Tiff, Writer

WIDTH, HEIGHT, DESCRIPTION, MAKE, MODEL = 0x0100, 0x0101, 0x010E, 0x010F, 0x0110
ORIENTATION, X_RESOLUTION, Y_RESOLUTION, UNIT = 0x0112, 0x011A, 0x011B, 0x0128
SOFTWARE, ARTIST, COPYRIGHT = 0x0131, 0x013B, 0x8298
PHOTO, GPS, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
MAKER_NOTE, USER_COMMENT, PIXEL_WIDTH, PIXEL_HEIGHT = 0x927C, 0x9286, 0xA002, 0xA003
RELATED_WIDTH, RELATED_HEIGHT = 0x1001, 0x1002
XMP, IPTC, PHOTOSHOP, ICC = 0x02BC, 0x83BB, 0x8649, 0x8773

MARK = b"Exif\0\0"  # what EXIF in a JPEG begins with, and in some other files by mistake
UNICODE = b"UNICODE\0"  # what a user's comment in UTF-16 begins with

# Tags of the main directory that tell how pixels lie in their own file, or point into it; XMP, IPTC
# and profiles have places of their own.
STRUCTURE = {
    *(0x00FE, 0x00FF, 0x0102, 0x0103, 0x0106, 0x010A, 0x0111, 0x0115, 0x0116, 0x0117, 0x011C),
    *(0x0120, 0x0121, 0x013D, 0x0140, 0x0142, 0x0143, 0x0144, 0x0145, 0x014A, 0x0152, 0x0153),
    *(0x015B, 0x0200, 0x0201, 0x0202, XMP, IPTC, PHOTOSHOP, ICC),
}
POINTERS = (PHOTO, GPS, INTEROPERABILITY)

# What describes the picture in a TIFF, among tags of its pixels: document and page name, Windows'
# texts and ratings beside EXIF's own.
DESCRIPTIVE = {
    *(DESCRIPTION, MAKE, MODEL, SOFTWARE, ARTIST, COPYRIGHT, X_RESOLUTION, Y_RESOLUTION, UNIT),
    *(0x010D, 0x011D, 0x0132, 0x013C, 0x4746, 0x4749),
    *range(0x9C9B, 0x9CA0),
}


@dataclass
class Exif:
    order: str = ">"
    """Of bytes: `<` or `>`."""
    main: Directory = field(default_factory=dict)
    photo: Directory = field(default_factory=dict)
    gps: Directory = field(default_factory=dict)
    interoperability: Directory = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes) -> tuple["Exif", bool]:
        """EXIF from its TIFF header on, and whether parts of it were damaged.

        The thumbnail, in a second directory, isn't read.

        Raises:
            ValueError: nothing of it can be read.
        """
        return cls.of_tiff(Tiff(data), None)

    @classmethod
    def of_tiff(cls, tiff: Tiff, descriptive: set[int] | None) -> tuple["Exif", bool]:
        """The same of the first directory of a stream.

        Args:
            descriptive: tags of the main directory to read; None: all but of its structure.
        """
        wanted = None if descriptive is None else {*descriptive, *POINTERS, ORIENTATION}
        main, _ = tiff.directory(tiff.first, wanted)
        found = cls(tiff.order)
        found.photo = _below(tiff, main, PHOTO)
        found.gps = _below(tiff, main, GPS)
        found.main = {
            code: tag
            for code, tag in main.items()
            if code not in STRUCTURE and tag.type not in ifd.BIG
        }
        found.interoperability = _below(tiff, found.photo, INTEROPERABILITY)
        if descriptive is not None and MAKER_NOTE in found.photo:  # offsets of a whole TIFF file
            found.photo[MAKER_NOTE] = replace(found.photo[MAKER_NOTE], at=None)
        return found, tiff.damaged

    def __bool__(self) -> bool:
        return bool(self.main or self.photo or self.gps)

    def to_bytes(self) -> bytes:
        """EXIF from its TIFF header on.

        A maker's note stays at its offset, from which most makers count the offsets in it.
        """
        writer = Writer(self.order, 8, self.photo.get(MAKER_NOTE))
        main = writer.directory(self.main | self.pointers(writer))
        mark = b"II*\0" if self.order == "<" else b"MM\0*"
        return mark + struct.pack(self.order + "I", main) + writer.joined(8)

    def pointers(self, writer: Writer) -> Directory:
        """Writes the directories below the main one; the tags that point to them."""
        photo, found = dict(self.photo), {}
        if self.interoperability:
            at = writer.directory(self.interoperability)
            photo[INTEROPERABILITY] = ifd.words(self.order, ifd.LONG, at)
        for code, tags in ((PHOTO, photo), (GPS, self.gps)):
            if tags:
                found[code] = ifd.words(self.order, ifd.LONG, writer.directory(tags))
        return found

    @property
    def orientation(self) -> int:
        value = ifd.number(self.main.get(ORIENTATION), self.order)
        return value if value is not None and 1 <= value <= 8 else 1

    @property
    def dpi(self) -> tuple[float, float] | None:
        x = ifd.fraction(self.main.get(X_RESOLUTION), self.order)
        y = ifd.fraction(self.main.get(Y_RESOLUTION), self.order)
        unit = ifd.number(self.main.get(UNIT), self.order)
        scale = {None: 1.0, 2: 1.0, 3: 2.54}.get(unit)  # inches, centimetres
        if x is None or scale is None:
            return None
        return x * scale, (y or x) * scale

    def upright(self) -> None:
        """Says that the pixels lie as they are shown."""
        if ORIENTATION in self.main:
            self.main[ORIENTATION] = ifd.words(self.order, ifd.SHORT, 1)

    def sound_resolution(self) -> None:
        """Leaves a resolution of the types that readers expect, or none: Pillow opens no JPEG with
        another one."""
        dpi = resolution.sound(self.dpi)
        for code in (X_RESOLUTION, Y_RESOLUTION, UNIT):
            odd = code in self.main and self.main[code].type not in (ifd.RATIONAL, ifd.SHORT)
            if odd and dpi is not None:
                self.set_dpi(dpi)
            elif odd:
                del self.main[code]

    def resize(self, width: int, height: int) -> None:
        """Says the size of the picture wherever it was said before."""
        for tags, x, y in (
            (self.main, WIDTH, HEIGHT),
            (self.photo, PIXEL_WIDTH, PIXEL_HEIGHT),
            (self.interoperability, RELATED_WIDTH, RELATED_HEIGHT),
        ):
            for code, value in ((x, width), (y, height)):
                if code in tags:
                    tags[code] = ifd.words(self.order, ifd.LONG, value)

    def set_dpi(self, dpi: tuple[float, float]) -> None:
        for code, value in zip((X_RESOLUTION, Y_RESOLUTION), dpi, strict=True):
            whole = round(value) == value
            over, under = (round(value), 1) if whole else (round(value * 10_000), 10_000)
            self.main[code] = ifd.words(self.order, ifd.RATIONAL, over, under)
        self.main[UNIT] = ifd.words(self.order, ifd.SHORT, 2)

    def string(self, code: int) -> str:
        """A text of the main directory; empty where there is none."""
        tag = self.main.get(code)
        if tag is None or tag.type not in (ifd.ASCII, 129):
            return ""
        return tag.value.split(b"\0")[0].decode("utf-8", "replace").strip()

    @property
    def user_comment(self) -> str:
        tag = self.photo.get(USER_COMMENT)
        if tag is None or tag.type not in ifd.UNDEFINED_8:
            return ""
        kind, body = tag.value[:8], tag.value[8:]
        if kind == UNICODE:
            return _utf_16(body, self.order).rstrip("\0 ")
        if kind in (b"ASCII\0\0\0", bytes(8)):
            return body.decode("utf-8", "replace").rstrip("\0 ")
        return "" if kind.startswith(b"JIS") else tag.value.decode("utf-8", "replace").rstrip("\0 ")

    @user_comment.setter
    def user_comment(self, value: str) -> None:
        # High byte first in either order, as AUTOMATIC1111's webui writes and reads it (piexif).
        body = UNICODE + value.encode("utf-16-be", "surrogatepass")
        self.photo[USER_COMMENT] = Tag(ifd.UNDEFINED, len(body), body)
        self.photo.setdefault(0x9000, Tag(ifd.UNDEFINED, 4, b"0232"))  # the version of EXIF

    def swapped(self) -> "Exif":
        """The same in the other byte order; what is opaque, such as a maker's note, stays."""
        order = ">" if self.order == "<" else "<"
        parts = (self.main, self.photo, self.gps, self.interoperability)
        found = Exif(order, *({c: ifd.swapped(t) for c, t in part.items()} for part in parts))
        comment = self.photo.get(USER_COMMENT)
        if comment is not None and comment.value.startswith(UNICODE):
            form = "utf-16-le" if order == "<" else "utf-16-be"
            body = UNICODE + self.user_comment.encode(form, "surrogatepass")
            found.photo[USER_COMMENT] = Tag(ifd.UNDEFINED, len(body), body)
        return found

    def copy(self) -> "Exif":
        return replace(
            self,
            main=dict(self.main),
            photo=dict(self.photo),
            gps=dict(self.gps),
            interoperability=dict(self.interoperability),
        )


def without_orientation(data: bytes) -> bytes:
    """EXIF, from its TIFF header on, without that tag."""
    exif, _ = Exif.parse(data)
    exif.main.pop(ORIENTATION, None)
    return exif.to_bytes()


def _below(tiff: Tiff, tags: Directory, code: int) -> Directory:
    """Takes a pointer out of a directory, and reads what it points to."""
    at = ifd.number(tags.pop(code, None), tiff.order)
    if not at:
        return {}
    try:
        below, _ = tiff.directory(at)
        return {code: tag for code, tag in below.items() if tag.type not in ifd.BIG}
    except ValueError:
        tiff.damaged = True
        return {}


def _utf_16(body: bytes, order: str) -> str:
    """EXIF leaves its byte order open: that of the file, or the other one where that gives more
    characters below 256, as most texts have."""
    if body[:2] in (b"\xfe\xff", b"\xff\xfe"):
        return body.decode("utf-16", "replace")
    high, low = body[0::2].count(0), body[1::2].count(0)
    little = low > high or (low == high and order == "<")
    return body.decode("utf-16-le" if little else "utf-16-be", "replace")
