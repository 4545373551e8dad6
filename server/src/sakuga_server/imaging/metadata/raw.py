"""What readers find in a file, and what of it is sound."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sakuga_server.imaging.metadata import icc, photoshop, resolution, xmp
from sakuga_server.imaging.metadata.budget import Budget
from sakuga_server.imaging.metadata.exif import ORIENTATION, Exif
from sakuga_server.imaging.metadata.record import Color, Metadata, Text

T = TypeVar("T")


@dataclass
class Raw:
    """Parts as they lie in a file, before they are checked."""

    icc: bytes | None = None
    exif: bytes | Exif | None = None
    """From its TIFF header on; or the descriptive tags of a TIFF."""
    xmp: bytes | None = None
    xmp_rest: bytes | None = None
    """What JPEG has in further segments, where a packet is too long for one."""
    iptc: bytes | None = None
    comments: list[bytes] = field(default_factory=list)
    dpi: tuple[float, float] | None = None
    text: list[Text] = field(default_factory=list)
    color: dict[str, Any] = field(default_factory=dict)
    """Of `Color`, by the names of its fields."""

    def photoshop(self, data: bytes) -> None:
        """Takes what Photoshop's resources hold and nothing else has given."""
        found = photoshop.resources(data)
        self.icc = self.icc or found.get(photoshop.ICC)
        self.exif = self.exif or found.get(photoshop.EXIF)
        self.xmp = self.xmp or found.get(photoshop.XMP)
        self.iptc = self.iptc or found.get(photoshop.IPTC)
        self.dpi = self.dpi or photoshop.dpi(found.get(photoshop.RESOLUTION, b""))

    def checked(self, budget: Budget) -> Metadata:
        """Everything that is sound and within the limit; the rest is a warning each."""
        exif = self._exif(budget)
        in_exif = resolution.sound(exif.dpi) if exif else None
        comment = b"\n".join(self.comments) or None
        if comment and not budget.keeps("comment", len(comment)):
            comment = None
        return Metadata(
            icc=_sound("ICC profile", self.icc, icc.checked, budget),
            exif=exif.to_bytes() if exif else None,
            xmp=self._xmp(budget),
            iptc=_sound("IPTC", self.iptc, photoshop.checked_iptc, budget),
            comment=comment,
            dpi=resolution.sound(self.dpi) or in_exif,
            text=tuple(self.text),
            color=Color(**self.color) if self.color else None,
        )

    def _exif(self, budget: Budget) -> Exif | None:
        if isinstance(self.exif, Exif):
            found: Exif | None = self.exif
            size = len(self.exif.to_bytes())
        else:
            found = _sound("EXIF", self.exif, lambda data: _parsed(data, budget), budget)
            size = 0
        if found is None or (size and not budget.keeps("EXIF", size)):
            return None
        found.upright()
        found.sound_resolution()
        return found if found.photo or found.gps or set(found.main) - {ORIENTATION} else None

    def _xmp(self, budget: Budget) -> bytes | None:
        packet = _sound("XMP", self.xmp, xmp.checked, budget)
        rest = _sound("extended XMP", self.xmp_rest, xmp.checked, budget)
        if packet and rest:
            both = (packet, rest)
            packet = _tried("extended XMP", lambda: xmp.merged(*both), budget) or packet
        return xmp.upright(packet) if packet else None


def _parsed(data: bytes, budget: Budget) -> Exif:
    exif, damaged = Exif.parse(data)
    if damaged:
        budget.warn("parts of the file's EXIF are damaged; they were dropped")
    return exif


def _sound(name: str, data: bytes | None, check: Callable[[bytes], T], budget: Budget) -> T | None:
    if not data or not budget.keeps(name, len(data)):
        return None
    return _tried(name, lambda: check(data), budget)


def _tried(name: str, work: Callable[[], T], budget: Budget) -> T | None:
    try:
        return work()
    except Exception as error:  # of a parser, on bytes of a stranger: they mustn't cost the pixels
        budget.damaged(name, str(error).splitlines()[0][:100] if str(error) else "")
        return None
