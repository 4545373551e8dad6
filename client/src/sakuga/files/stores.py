"""Where results go: files of this machine, and standard output."""

import errno
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

from sakuga.files.sources import Identity
from sakuga_core.atomic import Unfinished, remove_abandoned, write_whole
from sakuga_core.errors import BadInput

STANDARD_OUTPUT = "standard output"  # its name in messages


class UnfinishedFile(Protocol):
    """A file that is being written; see `sakuga_core.atomic.Unfinished`."""

    @property
    def file(self) -> IO[bytes]: ...

    def finish(self) -> None: ...

    def discard(self) -> None: ...


class Store(Protocol):
    """Where files are written, each whole or not at all."""

    def name(self, path: str) -> str:
        """As messages have it."""

    def key(self, path: str) -> str:
        """Its place, the same for every way that leads there; see `Source.key`."""

    def folder_key(self, path: str) -> str:
        """The key of a folder."""

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder."""

    def exists(self, path: str) -> bool:
        """Whether anything is there, or was at the beginning."""

    def identity(self, path: str) -> Identity | None:
        """By which links to one file are known."""

    def begin(self, path: str, *, replace: bool) -> UnfinishedFile:
        """A file to write.

        Raises:
            OSError: it can't be made.
        """

    def write(self, path: str, data: bytes, *, replace: bool) -> None:
        """Writes a file.

        Raises:
            FileExistsError: one is there, which isn't to be replaced.
            OSError: it can't be written; what was there before stays.
        """

    def check(self, paths: Sequence[str]) -> None:
        """
        Raises:
            BadInput: files can't be written there.
        """


class LocalStore:
    """The file system of this machine."""

    def __init__(self) -> None:
        self._cleaned: set[Path] = set()
        self._real: dict[str, str] = {}

    def name(self, path: str) -> str:
        """See `Store`."""
        return path

    def key(self, path: str) -> str:
        """See `Store`."""
        folder, name = os.path.split(path)
        return os.path.join(self.folder_key(folder), name)

    def folder_key(self, path: str) -> str:
        """See `Store`."""
        if path not in self._real:
            self._real[path] = os.path.realpath(path)
        return self._real[path]

    def is_folder(self, path: str) -> bool:
        """See `Store`."""
        return os.path.isdir(path)

    def exists(self, path: str) -> bool:
        """See `Store`; a broken link is something, too."""
        return os.path.lexists(path)

    def identity(self, path: str) -> Identity | None:
        """See `Store`."""
        try:
            status = os.stat(path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def begin(self, path: str, *, replace: bool) -> Unfinished:
        """See `Store`."""
        self._clean(Path(path).parent)
        return Unfinished(Path(path), replace=replace)

    def write(self, path: str, data: bytes, *, replace: bool) -> None:
        """See `Store`."""
        self._clean(Path(path).parent)
        write_whole(Path(path), data, replace=replace)

    def _clean(self, folder: Path) -> None:
        """Removes what a killed command has left."""
        if folder not in self._cleaned:
            self._cleaned.add(folder)
            remove_abandoned(folder)

    def check(self, paths: Sequence[str]) -> None:
        """See `Store`: by making a file where the first folders will be, and removing it."""
        folders = {os.path.dirname(path) for path in paths}
        for place in {_nearest(folder) for folder in folders}:
            if not os.path.isdir(place):
                raise BadInput(f"{place} is a file, so results can't be written below it")
            try:
                tempfile.TemporaryFile(dir=place).close()
            except OSError as error:
                reason = error.strerror or error
                raise BadInput(f"results can't be written to {place}: {reason}") from error


def _nearest(folder: str) -> str:
    """The folder itself, or the nearest one above that is there."""
    while not os.path.lexists(folder or "."):
        folder = os.path.dirname(folder)
    return folder or "."


class StandardOutput:
    """Standard output, for one result."""

    def name(self, path: str) -> str:
        """See `Store`."""
        return STANDARD_OUTPUT

    def key(self, path: str) -> str:
        """See `Store`."""
        return path

    def folder_key(self, path: str) -> str:
        """See `Store`."""
        return path

    def is_folder(self, path: str) -> bool:
        """See `Store`."""
        return False

    def exists(self, path: str) -> bool:
        """See `Store`."""
        return False

    def identity(self, path: str) -> None:
        """See `Store`."""

    def begin(self, path: str, *, replace: bool) -> UnfinishedFile:
        """
        Raises:
            OSError: always; archives are files.
        """
        raise OSError(errno.ESPIPE, "an archive can't be written there", self.name(path))

    def write(self, path: str, data: bytes, *, replace: bool) -> None:
        """See `Store`."""
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except OSError as error:
            raise OSError(error.errno, error.strerror, STANDARD_OUTPUT) from error

    def check(self, paths: Sequence[str]) -> None:
        """See `Store`."""
        if len(paths) > 1:
            raise BadInput("-o - is standard output, which takes one picture; name a folder")
        if sys.stdout.isatty():
            raise BadInput("standard output is a terminal; redirect it: -o - > result.png")
