"""Archives of results."""

import errno
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from sakuga.files.archives import Archive, ArchiveWriter, like
from sakuga.files.found import Item
from sakuga.files.naming import stem, stems, suffix_of
from sakuga.files.sources import Source
from sakuga.files.stores import Store
from sakuga.files.wanted import Wanted
from sakuga_core.formats import FileFormat

FILE_MODE = 0o644 << 16  # of an entry that was a file of its own, as zip has it


class Copy(NamedTuple):
    """An entry that is copied as it is."""

    archive: Archive
    entry: zipfile.ZipInfo
    name: str


class Book:
    """An archive of results, which is there once the last of them is.

    Args:
        store: where it is written…
        path: …and its path.
        replace: whether a file in its place is replaced.
        copies: what is copied besides the results, each with its position among all entries.
        comment: of the archive.
    """

    def __init__(
        self,
        store: Store,
        path: str,
        *,
        replace: bool,
        copies: Sequence[tuple[Copy, int]],
        comment: bytes,
    ) -> None:
        self.store, self.path, self.name = store, path, store.name(path)
        self._replace, self._copies, self._comment = replace, copies, comment
        self._writer: ArchiveWriter | None = None
        self._lock = threading.Lock()
        self.left = 0
        """Results that it waits for."""
        self.archives: list[Archive] = []
        """That its pages are read from."""
        self.is_given_up = False

    def write(self, entry: zipfile.ZipInfo, data: bytes, position: int) -> None:
        """Writes a result; with the last one the archive is done.

        Raises:
            OSError, BadInput: it can't be written; nothing is left of it.
        """
        with self._lock:
            if self.is_given_up:
                raise OSError(errno.ECANCELED, "given up", self.name)
            if self._writer is None:
                place = self.store.begin(self.path, replace=self._replace)
                self._writer = ArchiveWriter(place, self._comment)
            self._writer.write(entry, data, position)
            if self.left == 1:
                self._finish(self._writer)
            self.left -= 1

    def _finish(self, writer: ArchiveWriter) -> None:
        for copy, position in self._copies:
            writer.copy(*copy, position)
        writer.finish()
        self._close()

    def give_up(self) -> None:
        """Removes what was written, unless it is done."""
        with self._lock:
            if self._writer and self.left:
                self._writer.discard()
            if self.left:
                self.is_given_up = True
            self._close()

    def _close(self) -> None:
        self._writer = None
        for archive in self.archives:
            archive.close()


@dataclass(frozen=True)
class EntryTarget:
    """An entry of an archive."""

    book: Book
    stem: str
    """Its path in the archive, without a suffix."""
    position: int
    """Among all entries."""
    formats: tuple[FileFormat, ...]
    """That it may have, the likeliest first."""
    like: zipfile.ZipInfo | None = None
    """The entry that it is made of; None: a file."""

    @property
    def is_given_up(self) -> bool:
        """See `Target`."""
        return self.book.is_given_up

    def write(
        self, data: bytes, format: FileFormat | None, sizes: Mapping[str, object] | None
    ) -> str:
        """See `Target`."""
        name = self.stem + suffix_of(format or self.formats[0])
        self.book.write(self._entry(name), data, self.position)
        return f"{self.book.name}/{name}"

    def _entry(self, name: str) -> zipfile.ZipInfo:
        if self.like is not None:
            return like(self.like, name)
        entry = zipfile.ZipInfo(name, time.localtime()[:6])
        entry.external_attr = FILE_MODE
        return entry

    def give_up(self) -> str:
        """See `Target`: of an archive there is all or nothing."""
        self.book.give_up()
        return self.book.name


class Entry(NamedTuple):
    """A picture that becomes an entry."""

    place: PurePosixPath
    source: Source
    format: FileFormat | None
    entry: zipfile.ZipInfo | None = None


def entries_of(
    items: Sequence[Item], store: Store, path: str, wanted: Wanted
) -> tuple[Book, list[tuple[Entry, EntryTarget]]]:
    """An archive of results, with the pictures whose results it holds.

    Args:
        items: that it is made of: a single archive keeps its shape; of several, and of archives
            beside pictures, each is a folder.
        store: where it is written…
        path: …and its path.
        wanted: the rest.

    Raises:
        BadInput: two pages would get one name.
    """
    parts = [part for item in items for part in _parts(item, is_single=len(items) == 1)]
    pages = [part for part in parts if isinstance(part, Entry)]
    copies = [part for part in parts if isinstance(part, Copy)]
    position = {id(part): i for i, part in enumerate(parts)}
    formats = [wanted.formats(page.format) for page in pages]
    suffixes = [tuple(map(suffix_of, rows)) for rows in formats]
    names = stems([(page.place, each) for page, each in zip(pages, suffixes, strict=True)])
    archives = [item.archive for item in items if item.archive]
    comment = archives[0].comment if len(items) == len(archives) == 1 else b""
    book = Book(
        store,
        path,
        replace=wanted.overwrite,
        copies=[(copy, position[id(copy)]) for copy in copies],
        comment=comment,
    )
    book.left, book.archives = len(pages), archives
    return book, [
        (page, EntryTarget(book, name, position[id(page)], rows, page.entry))
        for page, rows, name in zip(pages, formats, names, strict=True)
    ]


def _parts(item: Item, is_single: bool) -> Iterator[Entry | Copy]:
    """The entries that an item becomes, in their order."""
    if item.archive is None:
        yield Entry(item.place, item.source, item.format)
        return
    folder = "" if is_single else f"{item.place.with_name(stem(item.place.name))}/"
    pages = {page.entry.filename: page for page in item.archive.pages}
    others = {entry.filename for entry in item.archive.others}
    for entry in item.archive.entries:
        name = folder + entry.filename
        if page := pages.get(entry.filename):
            yield Entry(PurePosixPath(name), page, page.format, entry)
        elif entry.filename in others:
            yield Copy(item.archive, entry, name)
