"""What a search for pictures finds, and what it leaves out."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from sakuga.files.archives import Archive
from sakuga.files.sources import Source
from sakuga_core.formats import FileFormat

# Reasons to leave out files and folders.
HIDDEN, OTHERS, REPEATED, OUTPUT = "hidden or of the system", "no picture", "found before", "output"


@dataclass(frozen=True)
class Item:
    """A picture that was found, or an archive of pictures."""

    source: Source
    place: PurePosixPath
    """Of its result in the output folder, still with the source's own name."""
    format: FileFormat | None = None
    """By its content; None: unknown."""
    archive: Archive | None = None
    is_named: bool = False
    """Whether the command names it, rather than a folder that it is in."""


@dataclass
class Found:
    """What the inputs hold."""

    items: list[Item] = field(default_factory=list)
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    """What can't be read, and why."""
    skipped: dict[str, list[str]] = field(default_factory=dict)
    """Names of what isn't read, by the reason."""

    def skip(self, reason: str, name: str) -> None:
        """Counts what isn't read."""
        self.skipped.setdefault(reason, []).append(name)

    def fail(self, name: str, error: Exception) -> None:
        """Names what can't be read."""
        self.failures.append((name, error))
