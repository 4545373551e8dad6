"""Where the bytes of a picture come from: files, standard input and pipes."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from sakuga_core.errors import TooLarge

STANDARD = "-"  # standard input or output, as a name
MOST = 2**31 - 1  # bytes of a picture, at most: one message of gRPC holds no more

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
