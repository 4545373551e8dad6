"""What readers find in a file, how much of it may be kept, and warnings about the rest."""

import zlib
from dataclasses import dataclass, field
from typing import Any

from sakuga_server.imaging.metadata import photoshop
from sakuga_server.imaging.metadata.exif import Exif
from sakuga_server.imaging.metadata.record import Text

EFFORT = 4  # times the limit: what may be decompressed in all, with what is dropped afterwards
OVERHEAD = 256  # bytes that a small part takes in memory beside its own
MOST_WARNINGS = 20
CREDENTIALS = "the file's content credentials (C2PA) sign its old pixels; they were dropped"


class TooMuchError(ValueError):
    """A part of the metadata is over the limit."""


class Budget:
    """What the metadata of one file may still take, and the warnings about what was dropped."""

    def __init__(self, limit: int) -> None:
        """
        Args:
            limit: bytes, decompressed, of all metadata together.
        """
        self.limit = limit
        self.left = limit
        self.effort = EFFORT * limit
        self._warnings: dict[str, None] = {}  # a set that keeps its order

    @property
    def warnings(self) -> list[str]:
        """Each once, and no more than a reader would read."""
        first, more = list(self._warnings)[:MOST_WARNINGS], len(self._warnings) - MOST_WARNINGS
        return [*first, f"{more} more parts were dropped"] if more > 0 else first

    def warn(self, warning: str) -> None:
        if len(self._warnings) < 1000:
            self._warnings[warning] = None

    def damaged(self, name: str, why: str = "") -> None:
        reason = f" ({why})" if why else ""
        self.warn(f"the file's {name} is damaged{reason}; it was dropped")

    def keeps(self, name: str, size: int) -> bool:
        """Whether so many bytes more are within the limit; if not, that is a warning."""
        if size + OVERHEAD > self.left:
            self.warn(
                f"the file's {name} is over the limit of {self.limit} bytes of metadata "
                "(limits.metadata_bytes); it was dropped"
            )
            return False
        self.left -= size + OVERHEAD
        return True

    def inflated(self, data: bytes | memoryview) -> bytes:
        """A zlib stream, decompressed.

        Raises:
            TooMuchError: over the limit.
            ValueError: damaged.
        """
        engine, most = zlib.decompressobj(), min(self.left, self.effort)
        try:
            result = bytes(engine.decompress(data, max(most, 0) + 1))
        except zlib.error as error:
            raise ValueError("its compressed data is damaged") from error
        self.effort -= len(result)
        if len(result) > most:
            raise TooMuchError
        if not engine.eof:
            raise ValueError("its compressed data is truncated")
        return result


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
