"""Directories of tags, as TIFF and EXIF have them (TIFF 6.0, section 2), value by value.

Values stay the bytes that they are: a tag of a type that nobody expects is kept like any other.
"""

import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SLONG = 1, 2, 3, 4, 5, 7, 9
UNDEFINED_8 = {BYTE, ASCII, 6, UNDEFINED, 129}  # 129: UTF-8 (EXIF 3.0)
# Bytes of one value of each type; 13 is an offset of a directory, 16 to 18 are BigTIFF's.
SIZES = dict.fromkeys(UNDEFINED_8, 1)
SIZES |= {SHORT: 2, 8: 2, LONG: 4, SLONG: 4, 11: 4, 13: 4, RATIONAL: 8, 10: 8, 12: 8}
BIG = {16, 17, 18}
SIZES |= dict.fromkeys(BIG, 8)
# Bytes that change places in the other byte order, where they aren't single.
_UNITS = {t: size for t, size in SIZES.items() if size > 1} | {RATIONAL: 4, 10: 4}
_WHOLE = {BYTE: "B", 6: "b", SHORT: "H", 8: "h", LONG: "I", SLONG: "i", 13: "I", 16: "Q", 18: "Q"}


@dataclass(frozen=True)
class Tag:
    type: int
    count: int
    value: bytes
    """In the byte order of its file."""
    at: int | None = None
    """Where it lay in its file; None: within the directory, or new."""


Directory = dict[int, Tag]


class Tiff:
    """A stream with a TIFF header: EXIF, or a whole TIFF file."""

    def __init__(self, data: bytes, room: int | None = None) -> None:
        """
        Args:
            room: bytes that all values together may have; None: as many as there are, even where
                tags share them.

        Raises:
            ValueError: it has no such header.
        """
        if data[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            raise ValueError("it has no TIFF header")
        self.data = data
        self.order = "<" if data[:1] == b"I" else ">"
        self.big = 0x2B in data[2:4]
        self.damaged = False
        """Whether a directory had entries that can't be read."""
        self.cut = False
        """Whether a directory lacks the offset of the next one, as the data end before."""
        self.room = len(data) if room is None else room
        self.first = self._number("Q" if self.big else "I", 8 if self.big else 4)

    def directory(self, at: int, wanted: Container[int] | None = None) -> tuple[Directory, int]:
        """The directory at an offset, and the offset of the next one, 0 for none.

        Args:
            wanted: tags to read; None: all.

        Raises:
            ValueError: there is no directory.
        """
        head, size = ("Q", 20) if self.big else ("H", 12)
        count = self._number(head, at)
        start = at + struct.calcsize("=" + head)
        whole = min(count, (len(self.data) - start) // size, 0xFFFF)
        if at < 8 or whole <= 0 < count:
            raise ValueError("a directory lies outside of the data")
        self.damaged |= whole < count
        found: Directory = {}
        for code, tag in self._tags(start, whole, wanted):
            found.setdefault(code, tag)
        end = start + count * size
        self.cut |= end + (8 if self.big else 4) > len(self.data)
        return found, self._number("Q" if self.big else "I", end, missing=0)

    def _tags(
        self, start: int, count: int, wanted: Container[int] | None
    ) -> Iterator[tuple[int, Tag]]:
        layout = struct.Struct(self.order + ("HHQ8s" if self.big else "HHI4s"))
        entries = memoryview(self.data)[start : start + count * layout.size]
        for code, kind, values, inline in layout.iter_unpack(entries):
            if wanted is None or code in wanted:
                tag = self._tag(kind, values, inline)
                self.damaged |= tag is None
                if tag is not None:
                    yield code, tag

    def _tag(self, type: int, count: int, inline: bytes) -> Tag | None:
        """None where its type is unknown, or its value lies outside of the data."""
        size = SIZES.get(type, 0) * count
        if not size or size > self.room or (type in BIG and not self.big):
            return None
        self.room -= size
        if size <= len(inline):
            return Tag(type, count, inline[:size])
        (at,) = struct.unpack(self.order + ("Q" if self.big else "I"), inline)
        value = self.data[at : at + size]
        return Tag(type, count, value, at) if len(value) == size else None

    def _number(self, form: str, at: int, missing: int | None = None) -> int:
        try:
            return int(struct.unpack_from(self.order + form, self.data, at)[0])
        except (struct.error, OverflowError):  # the latter of offsets from 2**63 on
            if missing is None:
                raise ValueError("it is truncated") from None
            return missing


def number(tag: Tag | None, order: str) -> int | None:
    """The whole number that a tag's first value is; None for tags of other types."""
    if tag is None or tag.type not in _WHOLE:
        return None
    return int(struct.unpack_from(order + _WHOLE[tag.type], tag.value)[0])


def fraction(tag: Tag | None, order: str) -> float | None:
    """The positive number that a tag's first value is; None for others."""
    if tag is not None and tag.type == RATIONAL:
        over, under = struct.unpack_from(order + "II", tag.value)
        return over / under if over and under else None
    if tag is not None and tag.type in (11, 12):
        (value,) = struct.unpack_from(order + ("f" if tag.type == 11 else "d"), tag.value)
        return float(value) if 0 < value < 1e9 else None
    value = number(tag, order)
    return float(value) if value and value > 0 else None


def swapped(tag: Tag) -> Tag:
    """A tag of the other byte order."""
    size = _UNITS.get(tag.type, 1)
    value = b"".join(tag.value[at : at + size][::-1] for at in range(0, len(tag.value), size))
    return tag if size == 1 else Tag(tag.type, tag.count, value)


def words(order: str, type: int, *values: int) -> Tag:
    """A tag of whole numbers, SHORT or LONG, or of fractions, by turns over and under."""
    form = {SHORT: "H", LONG: "I", RATIONAL: "I"}[type]
    body = struct.pack(f"{order}{len(values)}{form}", *values)
    return Tag(type, len(values) // (2 if type == RATIONAL else 1), body)


def text(value: str) -> Tag:
    """An ASCII tag, in UTF-8, as others write what ASCII lacks."""
    body = value.replace("\0", "").encode() + b"\0"
    return Tag(ASCII, len(body), body)


class Writer:
    """Lays directories and their values out into a stream that others of its kind can be read from.

    One tag's value may be fixed: it stays where it was.
    """

    def __init__(self, order: str, start: int, fixed: Tag | None = None) -> None:
        """
        Args:
            order: `<` or `>`.
            start: the offset of what is written first.
        """
        self.order = order
        self.at = start
        self.fixed = fixed if fixed and fixed.at and fixed.at >= start else None
        self.parts: dict[int, bytes] = {}

    def directory(self, tags: Directory) -> int:
        """Writes a directory, which is the last of its chain; its offset."""
        at = self._place(2 + 12 * len(tags) + 4)
        entries = [struct.pack(self.order + "H", len(tags))]
        for code in sorted(tags):
            tag = tags[code]
            entries.append(struct.pack(self.order + "HHI", code, tag.type, tag.count))
            entries.append(self._value(tag))
        self.parts[at] = b"".join((*entries, bytes(4)))
        return at

    def _value(self, tag: Tag) -> bytes:
        """Four bytes: the value, or where it lies."""
        if len(tag.value) <= 4:
            return tag.value.ljust(4, b"\0")
        at = self._place(len(tag.value)) if tag is not self.fixed else int(tag.at or 0)
        self.parts[at] = tag.value
        return struct.pack(self.order + "I", at)

    def _place(self, size: int) -> int:
        at = self.at + self.at % 2  # on words (TIFF 6.0)
        if self.fixed is not None and self.fixed.at is not None:
            end = self.fixed.at + len(self.fixed.value)
            if at < end and at + size > self.fixed.at:
                at = end + end % 2
        self.at = at + size
        return at

    def joined(self, start: int) -> bytes:
        """All that was written, from an offset on."""
        whole = bytearray(max((at + len(part) for at, part in self.parts.items()), default=start))
        for at, part in self.parts.items():
            whole[at : at + len(part)] = part
        return bytes(whole[start:])
