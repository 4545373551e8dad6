"""Comic archives (.cbz, .zip), which are read as if they were folders."""

import re
import stat
import threading
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from sakuga.files.sources import File, is_hidden, kind_of
from sakuga_core.errors import BadInput, TooLarge
from sakuga_core.formats import HEAD, FileFormat

SUFFIXES = (".cbz", ".zip")

# An archive that unpacks to more than this, and to that many times its size, is a bomb. Pictures
# compress little: deflate's own limit is 1032 times.
BOMB_BYTES, BOMB_RATIO = 2**30, 100

ENCRYPTED = 0x1  # bit of an entry's flags
READING = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def is_archive(name: str) -> bool:
    """Whether a file is called like an archive."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


@dataclass(frozen=True)
class Page:
    """A picture of an archive."""

    archive: "Archive"
    entry: zipfile.ZipInfo
    format: FileFormat | None
    """By its content; None: only its name says that it is a picture."""
    key: None = None

    @property
    def name(self) -> str:
        """As messages have it."""
        return f"{self.archive.name}/{self.entry.filename}"

    @property
    def parent(self) -> str:
        """See `Source`."""
        return self.place.parent.name

    @property
    def place(self) -> PurePosixPath:
        """Within the archive."""
        return PurePosixPath(self.entry.filename)

    def read(self) -> bytes:
        """
        Raises:
            OSError, BadInput: it can't be read.
        """
        return self.archive.read(self.entry)


class Archive:
    """An archive that is read. Any thread may read its pages; with the last one it is closed.

    Args:
        source: the file.
        most: bytes of a page, at most.

    Raises:
        OSError: it can't be read.
        BadInput: it is no zip archive, or damaged, encrypted, or unsafe to unpack.
        TooLarge: a page is too large, or the whole unpacks to too much.
    """

    def __init__(self, source: File, most: int) -> None:
        self.source, self.name = source, source.name
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._open: zipfile.ZipFile | None = None
        self.pages: list[Page] = []
        self.others: list[zipfile.ZipInfo] = []
        """Entries that are copied as they are: folders, and files that are no pictures."""
        self.hidden: list[str] = []
        with _errors("archive"), source.open() as file, zipfile.ZipFile(file) as archive:
            self.entries, self.comment = archive.infolist(), archive.comment
            _check_all(self.entries, file.seek(0, 2), most)
            for entry in self.entries:
                self._sort(entry, archive)
        self._unread = len(self.pages)

    def _sort(self, entry: zipfile.ZipInfo, archive: zipfile.ZipFile) -> None:
        path = PurePosixPath(entry.filename)
        if any(map(is_hidden, path.parts)):
            self.hidden.append(f"{self.name}/{entry.filename}")
            return
        if not entry.is_dir():
            with archive.open(entry) as file:
                kind = kind_of(path.name, file.read(HEAD))
            if kind.is_picture:
                self.pages.append(Page(self, entry, kind.format))
                return
        self.others.append(entry)

    def read(self, entry: zipfile.ZipInfo) -> bytes:
        """
        Raises:
            OSError, BadInput: it can't be read.
        """
        try:
            with self._opened() as archive, _errors("entry"):
                return archive.read(entry)
        finally:
            with self._lock:
                self._unread -= 1
            if self._unread <= 0:
                self.close()

    def copy(self, entry: zipfile.ZipInfo, name: str, target: zipfile.ZipFile) -> None:
        """Copies an entry as it is, under another name.

        Raises:
            OSError, BadInput: it can't be read or written.
        """
        new = like(entry, name)
        new.file_size = entry.file_size
        with self._opened() as archive, _errors(f"entry {entry.filename}"):
            if entry.is_dir():
                target.writestr(new, b"")
                return
            with archive.open(entry) as reading, target.open(new, "w") as writing:
                while block := reading.read(2**20):
                    writing.write(block)

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        """The archive, for one thread at a time."""
        with self._lock:
            if self._open is None:
                self._file = self.source.open()
                with _errors("archive"):
                    self._open = zipfile.ZipFile(self._file)
            yield self._open

    def close(self) -> None:
        """Closes the file, until something is read again."""
        with self._lock:
            if self._open and self._file:
                self._open.close()
                self._file.close()
            self._open = self._file = None


@contextmanager
def _errors(subject: str) -> Iterator[None]:
    """
    Raises:
        BadInput: instead of what zipfile and its decompressors raise.
    """
    try:
        yield
    except READING as error:
        raise BadInput(f"the {subject} is damaged: {error}") from error


def _check_all(entries: Sequence[zipfile.ZipInfo], size: int, most: int) -> None:
    """
    Raises:
        BadInput, TooLarge: for the whole archive; see `Archive`.
    """
    total = sum(entry.file_size for entry in entries)
    if total > BOMB_BYTES and total > BOMB_RATIO * size:
        raise TooLarge(
            f"the archive unpacks to {total} bytes, {total // size} times its size; "
            f"allowed: {BOMB_BYTES} bytes, or {BOMB_RATIO} times its size"
        )
    names = set()
    for entry in entries:
        _check(entry, most)
        if entry.filename in names:
            raise BadInput(f"the archive has two entries of one name, {entry.filename}")
        names.add(entry.filename)


def _check(entry: zipfile.ZipInfo, most: int) -> None:
    """
    Raises:
        BadInput: an entry can't be read, or isn't safe to unpack.
        TooLarge: it has more than `most` bytes.
    """
    name = entry.filename
    if entry.flag_bits & ENCRYPTED:
        raise BadInput(f"the archive has an encrypted entry, {name}; allowed: without a password")
    parts = re.split(r"[/\\]", name)
    if not parts[0] or ".." in parts or re.match("[A-Za-z]:", name):
        raise BadInput(f"the archive has an entry that leads out of it, {name!r}; nothing is read")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise BadInput(f"the archive has a symbolic link, {name}; nothing of it is read")
    if entry.file_size > most:
        raise TooLarge(
            f"the archive has an entry of {entry.file_size} bytes, {name}; "
            f"allowed: limits.input_bytes, {most}"
        )


def like(entry: zipfile.ZipInfo, name: str) -> zipfile.ZipInfo:
    """An entry with the date, the permissions and the compression of another one."""
    new = zipfile.ZipInfo(name, entry.date_time)
    new.external_attr, new.create_system = entry.external_attr, entry.create_system
    stored = entry.compress_type == zipfile.ZIP_STORED
    new.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    new.comment = entry.comment
    return new
