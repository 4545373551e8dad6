"""The directories of a TIFF file, one a page, and what they say of its samples (TIFF 6.0)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from sakuga_server.imaging.metadata import ifd
from sakuga_server.imaging.reading.checks import damaged

TITLE = "TIFF"
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, SEPARATED, YCBCR = range(7)  # photometric
ASSOCIATED, UNASSOCIATED = 1, 2  # kinds of extra samples
SEPARATE = 2  # planes, one after the other
UNSIGNED, SIGNED, FLOATING, UNDEFINED = range(1, 5)  # numbers that samples are

PHOTOMETRIC = 262
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION = 254, 256, 257, 258, 259
_ORIENTATION, _CHANNELS, _PLANES, _COLOURS, _TILE_WIDTH, _TILE_HEIGHT = 274, 277, 284, 320, 322, 323
_EXTRA, _NUMBERS, _DEPTH, _ICC = 338, 339, 32997, 34675
_WANTED = {
    *(_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, PHOTOMETRIC, _ORIENTATION, _CHANNELS),
    *(_PLANES, _COLOURS, _TILE_WIDTH, _TILE_HEIGHT, _EXTRA, _NUMBERS, _DEPTH, _ICC),
}
_REDUCED, _MASKING = 1, 4  # bits of what a page is: a smaller copy, a mask of another page
_LOOPS = "leads back to a page that was read before; pages may be missing"
_BREAKS_OFF = "breaks off at the end of the file; pages may be missing"
_FORMS = {ifd.BYTE: "B", ifd.SHORT: "H", ifd.LONG: "I", 16: "Q"}


@dataclass(frozen=True)
class Page:
    """One directory. Numbers that it lacks have the specification's defaults."""

    index: int
    """Among all directories of the file."""
    at: int
    """Where the directory is, in bytes."""
    width: int
    height: int
    bits: tuple[int, ...] = (1,)
    compression: int = 1
    photometric: int = BLACK_IS_ZERO
    channels: int = 1
    planes: int = 1
    extra: tuple[int, ...] = ()
    numbers: tuple[int, ...] = (UNSIGNED,)
    orientation: int = 1
    tile: tuple[int, int] | None = None
    """Width and height."""
    depth: int = 1
    colours: tuple[int, ...] = field(default=(), repr=False)
    """A palette's reds, greens and blues, 0 to 65535."""
    icc: bytes | None = field(default=None, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height when it is upright."""
        return (self.height, self.width) if self.orientation > 4 else (self.width, self.height)

    @property
    def decoded_pixels(self) -> int:
        """Pixels of the whole tiles that cover it; without tiles its own."""
        across, down = self.tile or (1, 1)
        if across < 1 or down < 1:  # which is refused when the page is read
            return self.width * self.height
        return -(-self.width // across) * across * -(-self.height // down) * down


def pages(data: bytes, warnings: list[str] | None = None) -> Iterator[Page]:
    """The pages of a file, but for smaller copies of them, and masks.

    Args:
        warnings: gets what is wrong with the list of pages, once its end is reached.

    Raises:
        BadImage: a directory is damaged, or has no size.
    """
    try:
        stream = ifd.Tiff(data)
        at, seen = stream.first, set[int]()
        while at and at not in seen:
            seen.add(at)
            tags, following = stream.directory(at, _WANTED)
            kind = _number(tags, _SUBFILE, stream.order, 0)
            if at == stream.first or not kind & (_REDUCED | _MASKING):
                yield _page(len(seen) - 1, at, tags, stream.order)
            at = following
        if warnings is not None:
            warnings += _at_the_end(at, stream.cut)
    except ValueError as error:
        raise damaged(TITLE, str(error)) from error


def _at_the_end(following: int, cut: bool) -> list[str]:
    """Warnings of a list whose last directory names another one, or lacks its own end."""
    if following:
        return [f"the TIFF file's list of pages is damaged: it {_LOOPS}"]
    return [f"the TIFF file's list of pages is damaged: it {_BREAKS_OFF}"] if cut else []


def _page(index: int, at: int, tags: ifd.Directory, order: str) -> Page:
    def one(code: int, missing: int) -> int:
        return _number(tags, code, order, missing)

    def several(code: int, missing: tuple[int, ...] = ()) -> tuple[int, ...]:
        return _numbers(tags.get(code), order) or missing

    orientation = one(_ORIENTATION, 1)
    return Page(
        index,
        at,
        one(_WIDTH, 0),
        one(_HEIGHT, 0),
        several(_BITS, (1,)),
        one(_COMPRESSION, 1),
        one(PHOTOMETRIC, BLACK_IS_ZERO),
        one(_CHANNELS, 1),
        one(_PLANES, 1),
        several(_EXTRA),
        several(_NUMBERS, (UNSIGNED,)),
        orientation if orientation in range(1, 9) else 1,
        (one(_TILE_WIDTH, 0), one(_TILE_HEIGHT, 0)) if _TILE_WIDTH in tags else None,
        one(_DEPTH, 1),
        several(_COLOURS),
        tags[_ICC].value if _ICC in tags else None,
    )


def _number(tags: ifd.Directory, code: int, order: str, missing: int) -> int:
    found = _numbers(tags.get(code), order)
    return found[0] if found else missing


def _numbers(tag: ifd.Tag | None, order: str) -> tuple[int, ...]:
    if tag is None or tag.type not in _FORMS:
        return ()
    return struct.unpack(f"{order}{tag.count}{_FORMS[tag.type]}", tag.value)
