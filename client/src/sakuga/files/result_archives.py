"""Archives of results: how they are written, and what they are made of."""

import errno
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from sakuga.files.archives import Archive, like
from sakuga.files.found import Item
from sakuga.files.naming import stem, stems, suffix_of
from sakuga.files.outputs import PlanOptions
from sakuga.files.sources import Source
from sakuga.files.stores import Store, UnfinishedFile
from sakuga.files.targets import GivenUp
from sakuga_core.formats import FileFormat

FILE_MODE = 0o644 << 16  # of an entry that was a file of its own, as zip has it


class Copy(NamedTuple):
    """An entry that is copied as it is."""

    archive: Archive
    entry: zipfile.ZipInfo
    name: str


class ArchiveWriter:
    """An archive that is written, whole or not at all. One thread at a time may write.

    Args:
        unfinished: its file.
        comment: of the archive.
    """

    def __init__(self, unfinished: UnfinishedFile, comment: bytes) -> None:
        self._unfinished = unfinished
        self._order: dict[str, int] = {}
        self._file = zipfile.ZipFile(unfinished.file, "w")
        self._file.comment = comment

    def write(self, entry: zipfile.ZipInfo, data: bytes, position: int) -> None:
        """Writes an entry, in any order.

        Args:
            position: of the entry among all of the archive's.

        Raises:
            OSError: it can't be written.
        """
        self._order[entry.filename] = position
        self._file.writestr(entry, data)

    def copy(self, archive: Archive, entry: zipfile.ZipInfo, name: str, position: int) -> None:
        """Copies an entry of another archive; see `write`."""
        self._order[name] = position
        archive.copy(entry, name, self._file)

    def finish(self) -> None:
        """
        Raises:
            OSError: it can't be written; nothing is left of it.
        """
        try:
            # Readers go by the directory at the end, which is written now.
            self._file.filelist.sort(key=lambda entry: self._order[entry.filename])
            self._file.close()
        except BaseException:
            self.discard()
            raise
        self._unfinished.finish()

    def discard(self) -> None:
        """Removes what was written."""
        self._unfinished.discard()
        self._file.fp = None  # nothing is written any more, also not when the object is collected


class ResultArchive:
    """An archive of results, which is there once the last of them is.

    Args:
        store: where it is written…
        path: …and its path.
        replace: whether a file in its place is replaced.
        sources: the archives that it is made of.
        results: how many it waits for.
        copies: what is copied besides the results, each with its position among all entries.
        comment: of the archive.
    """

    def __init__(
        self,
        store: Store,
        path: str,
        *,
        replace: bool,
        sources: Sequence[Archive],
        results: int,
        copies: Sequence[tuple[Copy, int]],
        comment: bytes,
    ) -> None:
        self.name = store.name(path)
        self.is_given_up = False
        self._store, self._path, self._replace = store, path, replace
        self._sources, self._copies, self._comment = sources, copies, comment
        self._left = results
        self._writer: ArchiveWriter | None = None
        self._lock = threading.Lock()

    def write(self, entry: zipfile.ZipInfo, data: bytes, position: int) -> None:
        """Writes a result; with the last one the archive is done.

        Raises:
            GivenUp: another one failed.
            OSError, BadInput: it can't be written; nothing is left of it.
        """
        with self._lock:
            if self.is_given_up:
                raise GivenUp(errno.ECANCELED, "given up", self.name)
            if self._writer is None:
                unfinished = self._store.begin(self._path, replace=self._replace)
                self._writer = ArchiveWriter(unfinished, self._comment)
            self._writer.write(entry, data, position)
            if self._left == 1:
                self._finish(self._writer)
            self._left -= 1

    def _finish(self, writer: ArchiveWriter) -> None:
        for copy, position in self._copies:
            writer.copy(*copy, position)
        writer.finish()
        self._close()

    def give_up(self) -> bool:
        """Removes what was written, unless it is done; returns whether it was given up before."""
        with self._lock:
            before = self.is_given_up
            if self._writer and self._left:
                self._writer.discard()
            if self._left:
                self.is_given_up = True
            self._close()
            return before

    def _close(self) -> None:
        self._writer = None
        for archive in self._sources:
            archive.close()


@dataclass(frozen=True)
class EntryTarget:
    """An entry of an archive."""

    archive: ResultArchive
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
        return self.archive.is_given_up

    def write(
        self, data: bytes, format: FileFormat | None, sizes: Mapping[str, object] | None
    ) -> str:
        """See `Target`."""
        name = self.stem + suffix_of(format or self.formats[0])
        self.archive.write(self._entry(name), data, self.position)
        return f"{self.archive.name}/{name}"

    def _entry(self, name: str) -> zipfile.ZipInfo:
        if self.like is not None:
            return like(self.like, name)
        entry = zipfile.ZipInfo(name, time.localtime()[:6])
        entry.external_attr = FILE_MODE
        return entry

    def give_up(self) -> str:
        """See `Target`: of an archive there is all or nothing."""
        return "" if self.archive.give_up() else self.archive.name


class Entry(NamedTuple):
    """A picture that becomes an entry."""

    place: PurePosixPath
    source: Source
    format: FileFormat | None
    entry: zipfile.ZipInfo | None = None


def entries_of(
    items: Sequence[Item], store: Store, path: str, options: PlanOptions
) -> tuple[ResultArchive, list[tuple[Entry, EntryTarget]]]:
    """An archive of results, with the pictures whose results it holds.

    Args:
        items: that it is made of: a single archive keeps its shape; of several, and of archives
            beside pictures, each is a folder.
        store: where it is written…
        path: …and its path.
        options: the rest.

    Raises:
        BadInput: two pages would get one name.
    """
    parts = [part for item in items for part in _parts(item, is_single=len(items) == 1)]
    pages = [part for part in parts if isinstance(part, Entry)]
    copies = [part for part in parts if isinstance(part, Copy)]
    position = {id(part): i for i, part in enumerate(parts)}
    formats = [options.formats(page.format) for page in pages]
    suffixes = [tuple(map(suffix_of, rows)) for rows in formats]
    names = stems([(page.place, each) for page, each in zip(pages, suffixes, strict=True)])
    archives = [item.archive for item in items if item.archive]
    comment = archives[0].comment if len(items) == len(archives) == 1 else b""
    made = ResultArchive(
        store,
        path,
        replace=options.overwrite,
        sources=archives,
        results=len(pages),
        copies=[(copy, position[id(copy)]) for copy in copies],
        comment=comment,
    )
    return made, [
        (page, EntryTarget(made, name, position[id(page)], rows, page.entry))
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
