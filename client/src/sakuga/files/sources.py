"""Where the bytes of a picture come from, files, standard input and pipes, and which files are
pictures."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, Protocol

from sakuga_core.errors import TooLarge
from sakuga_core.formats import BY_SUFFIX, FileFormat, recognised

STANDARD = "-"  # standard input or output, as a name
MOST = 2**31 - 1  # bytes of a picture, at most: one message of gRPC holds no more

# What file managers, cameras and network storage leave in folders of pictures.
SYSTEM = {"thumbs.db", "desktop.ini", "@eadir", "__macosx", "$recycle.bin"}
SYSTEM |= {"system volume information", "lost+found"}

# Raw files of cameras are TIFF files that show a preview instead of the picture.
RAW = {".3fr", ".arw", ".cr2", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos"}
RAW |= {".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw"}

Identity = tuple[int, int]
"""Device and inode, by which hard links to one file are known."""


class Source(Protocol):
    """The bytes of one file."""

    @property
    def name(self) -> str:
        """As messages have it."""

    @property
    def key(self) -> str | None:
        """Its place, the same for every way that leads there; None: it has none."""

    @property
    def parent(self) -> str:
        """The name of its folder; empty: it is in none."""

    def read(self) -> bytes:
        """
        Raises:
            OSError, BadInput: it can't be read.
            TooLarge: it has over MOST bytes.
        """


class File(Source, Protocol):
    """A source that is a file, of this machine or of another one."""

    def open(self) -> BinaryIO:
        """For reading, from any position.

        Raises:
            OSError, BadInput: it can't be read.
        """


@dataclass(frozen=True)
class LocalFile:
    """A file of this machine."""

    path: str
    key: str
    """Its real path."""
    identity: Identity

    @property
    def name(self) -> str:
        """Its path as it was given."""
        return self.path

    @property
    def parent(self) -> str:
        """See `Source`."""
        return os.path.basename(os.path.dirname(os.path.abspath(self.path)))

    def open(self) -> BinaryIO:
        """See `File`."""
        return open(self.path, "rb")

    def read(self) -> bytes:
        """See `Source`."""
        with self.open() as file:
            check_size(os.fstat(file.fileno()).st_size)
            return file.read()


@dataclass(frozen=True)
class Stream:
    """What standard input or a pipe had: it can be read only once."""

    name: str
    data: bytes = field(repr=False)
    key: None = None
    parent: str = ""

    def read(self) -> bytes:
        """See `Source`."""
        return self.data


def stream(path: str) -> Stream:
    """All that standard input, a pipe or a device gives.

    Raises:
        OSError: it can't be read.
        TooLarge: it has over MOST bytes.
    """
    if path == STANDARD:
        return Stream("standard input", _all_of(sys.stdin.buffer))
    with Path(path).open("rb") as file:
        return Stream(path, _all_of(file))


def _all_of(file: BinaryIO) -> bytes:
    data = bytearray()
    while block := file.read(2**20):
        data += block
        check_size(len(data))
    return bytes(data)


def check_size(size: int) -> None:
    """
    Raises:
        TooLarge: it is over MOST.
    """
    if size > MOST:
        raise TooLarge(f"the file has {size} bytes; allowed: {MOST}")


class Kind(NamedTuple):
    """What a file is."""

    is_picture: bool
    format: FileFormat | None
    """By its content, for TGA by its name; None: only the name says that it is a picture."""


def kind_of(name: str, head: bytes) -> Kind:
    """What a file is.

    Args:
        name: of the file; its suffix counts where the content says nothing.
        head: its first `formats.HEAD` bytes.
    """
    suffix = PurePosixPath(name).suffix.lower()
    by_name = BY_SUFFIX.get(suffix)
    by_content = recognised(head) if suffix not in RAW else None
    if by_content is None and by_name is not None and by_name.name == "tga":
        return Kind(True, by_name)  # TGA files begin with no mark
    return Kind(by_content is not None or by_name is not None, by_content)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or the system's."""
    return name.startswith(".") or name.lower() in SYSTEM
