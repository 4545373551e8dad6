"""The files below folders of this machine."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from sakuga.files.found import HIDDEN, OUTPUT, REPEATED, Found
from sakuga.files.sources import is_hidden


@dataclass(frozen=True)
class Entry:
    """A file or folder."""

    path: str
    place: PurePosixPath
    """Its path below the folder that the command names, after that folder's own place."""
    key: str
    """Its real path."""


class Walk:
    """Finds each file and folder once, by its real path; links come after everything else.

    Args:
        found: gets what is left out.
        excluded: keys of folders and files that aren't read within another folder.
    """

    def __init__(self, found: Found, excluded: Collection[str]) -> None:
        self._found, self._excluded = found, excluded
        self._seen: set[str] = set()
        self._folders: list[Entry] = []
        self._links: list[Entry] = []

    def files(self, root: str, place: PurePosixPath) -> Iterator[Entry]:
        """Whatever is no folder below a folder, in no order."""
        folder = Entry(root, place, os.path.realpath(root))
        if self.is_new(folder):
            self._folders.append(folder)
        while self._folders or self._links:
            if self._folders:
                yield from self._listed(self._folders.pop())
            else:
                yield from self._followed(self._links.pop(0))

    def is_new(self, entry: Entry) -> bool:
        """Whether it is met for the first time."""
        if entry.key in self._seen:
            self._found.skip(REPEATED, entry.path)
            return False
        self._seen.add(entry.key)
        return True

    def _listed(self, folder: Entry) -> Iterator[Entry]:
        """The files of a folder; its folders and links are kept for later."""
        try:
            with os.scandir(folder.path) as entries:
                listed = list(entries)
        except OSError as error:
            self._found.fail(folder.path, error)
            return
        for each in listed:
            entry = Entry(each.path, folder.place / each.name, os.path.join(folder.key, each.name))
            if is_hidden(each.name):
                self._found.skip(HIDDEN, entry.path)
            elif each.is_symlink():
                self._links.append(entry)
            else:
                yield from self._met(entry, each.is_dir(follow_symlinks=False))

    def _followed(self, link: Entry) -> Iterator[Entry]:
        try:
            target = Entry(link.path, link.place, os.path.realpath(link.path, strict=True))
        except OSError as error:
            self._found.fail(link.path, error)
            return
        yield from self._met(target, os.path.isdir(target.key))

    def _met(self, entry: Entry, is_folder: bool) -> Iterator[Entry]:
        if entry.key in self._excluded:
            self._found.skip(OUTPUT, entry.path)
        elif not self.is_new(entry):
            return
        elif is_folder:
            self._folders.append(entry)
        else:
            yield entry
