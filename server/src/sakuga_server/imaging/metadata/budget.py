"""How much of a file's metadata is kept, and what is said of the rest."""

import zlib

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
        said = list(self._warnings)
        more = len(said) - MOST_WARNINGS
        return said if more <= 0 else [*said[:MOST_WARNINGS], f"{more} more parts were dropped"]

    def warn(self, warning: str) -> None:
        if len(self._warnings) < 1000:
            self._warnings[warning] = None

    def damaged(self, name: str, why: str = "") -> None:
        reason = f" ({why})" if why else ""
        self.warn(f"the file's {name} is damaged{reason}; it was dropped")

    def keeps(self, name: str, size: int) -> bool:
        """Whether so many bytes more are within the limit; if not, that is said."""
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
