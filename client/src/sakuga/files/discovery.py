"""Which pictures the inputs of a command mean: files, folders, archives, pipes and addresses."""

import os
import re
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePosixPath

from sakuga.files import urls
from sakuga.files.archives import Archive, is_archive
from sakuga.files.found import HIDDEN, OTHERS, OUTPUT, Found, Item
from sakuga.files.sources import STANDARD, File, LocalFile, is_hidden, kind_of, stream
from sakuga.files.walking import Entry, Walk
from sakuga_core.errors import BadInput
from sakuga_core.formats import HEAD

STANDARD_INPUTS = (STANDARD, "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")

_DIGITS = re.compile(r"([0-9]+)")


def discover(inputs: Sequence[str], excluded: Collection[str], most: int) -> Found:
    """The pictures at and below the inputs, in their order; those of a folder in natural order.

    Each file and folder counts once, by its real path. Links are followed after everything else.

    Args:
        inputs: paths, addresses, or `-` for standard input, which is read now, as pipes are.
        excluded: keys of folders and files that aren't read within a folder: of the output.
        most: bytes of a page of an archive, at most.

    Raises:
        BadInput: an input isn't there, or standard input is named twice.
    """
    _check(inputs)
    folders = {text for text in inputs if is_folder(text)}  # once: at an address it takes a request
    places = _places(inputs, folders)
    search = _Search(excluded, most)
    for text in inputs:
        search.input(text, places[text], text in folders)
    return search.found


def _check(inputs: Sequence[str]) -> None:
    """
    Raises:
        BadInput: an input isn't there, or standard input is named twice.
    """
    missing = [
        text
        for text in inputs
        if text != STANDARD and not urls.is_url(text) and not os.path.exists(text)
    ]
    if missing:
        raise BadInput(f"no such file or folder: {', '.join(missing)}")
    if sum(text in STANDARD_INPUTS for text in inputs) > 1:
        raise BadInput("standard input, -, is named twice; it can be read once")


def is_folder(text: str) -> bool:
    """Whether an input is a folder; of an address only its file system can tell."""
    if urls.is_url(text):
        return urls.is_folder(urls.located(text))
    return text != STANDARD and os.path.isdir(text)


def _places(inputs: Sequence[str], folders: Collection[str]) -> dict[str, PurePosixPath]:
    """Where the results of each input go in the output folder: of a file with its name.

    A folder alone needs no name. Of several, and of files of one name, each gets as much of its
    path as tells it from the others.
    """
    paths = {text: _full(text) for text in inputs}
    of_folders = {paths[text] for text in folders}
    labels = _labels(of_folders) if len(of_folders) > 1 else {}
    of_files = {path for text, path in paths.items() if text not in folders}
    counted = Counter(path.name for path in of_files)
    parents = _labels(path.parent for path in of_files if counted[path.name] > 1)

    def place(text: str, path: PurePosixPath) -> PurePosixPath:
        if text in folders:
            return labels.get(path, PurePosixPath())
        folder = parents[path.parent] if counted[path.name] > 1 else PurePosixPath()
        return folder / path.name

    return {text: place(text, path) for text, path in paths.items()}


def _full(text: str) -> PurePosixPath:
    """The whole path of an input, links as they are."""
    if text == STANDARD:
        return PurePosixPath("/stdin")
    if urls.is_url(text):
        return PurePosixPath("/", urls.plain_path(urls.located(text)))
    return PurePosixPath(os.path.abspath(text))


def _labels(paths: Iterable[PurePosixPath]) -> dict[PurePosixPath, PurePosixPath]:
    """The shortest ends of paths, all of one length, that tell them apart."""
    all_parts = {path: path.parts[1:] for path in paths}
    for count in range(1, max(map(len, all_parts.values()), default=0) + 1):
        ends = {path: parts[-count:] for path, parts in all_parts.items()}
        if len(set(ends.values())) == len(ends):
            break
    return {path: PurePosixPath(*parts[-count:]) for path, parts in all_parts.items()}


class _Search:
    """Collects what inputs hold."""

    def __init__(self, excluded: Collection[str], most: int) -> None:
        self.found = Found()
        self._excluded, self._most = excluded, most
        self._walk = Walk(self.found, excluded)

    def input(self, text: str, place: PurePosixPath, is_folder: bool) -> None:
        """What one input holds."""
        if urls.is_url(text):
            self._remote(urls.located(text), place, is_folder)
        elif is_folder:
            files = list(self._walk.files(text, place))
            for entry in sorted(files, key=lambda entry: _order(entry.place)):
                self._entry(entry)
        elif text != STANDARD and os.path.isfile(text):
            entry = Entry(text, place, os.path.realpath(text))
            if self._walk.is_new(entry):
                self._entry(entry, is_named=True)
        else:
            self._stream(text, place)

    def _stream(self, text: str, place: PurePosixPath) -> None:
        """Standard input, a pipe or a device."""
        try:
            source = stream(text)
        except Exception as error:  # one that isn't foreseen fails alone, too
            self.found.fail(text, error)
            return
        kind = kind_of(place.name, source.data[:HEAD])
        self.found.items.append(Item(source, place, kind.format, is_named=True))

    def _entry(self, entry: Entry, is_named: bool = False) -> None:
        """A file of this machine."""
        try:
            status = os.stat(entry.path)
            if not stat.S_ISREG(status.st_mode):  # to open a pipe would wait for its other end
                self.found.skip(OTHERS, entry.path)
                return
            with open(entry.path, "rb", buffering=0) as file:
                head = file.read(HEAD)
        except OSError as error:
            self.found.fail(entry.path, error)
            return
        source = LocalFile(entry.path, entry.key, (status.st_dev, status.st_ino))
        self._file(source, entry.place, head, is_named)

    def _remote(self, root: urls.RemoteFile, place: PurePosixPath, is_folder: bool) -> None:
        """The file at an address, or the files below it."""
        if not is_folder:
            if self._is_new(root):
                self._file(root, place, urls.heads([root])[0], is_named=True)
            return
        try:
            below = urls.files_below(root)
        except OSError as error:
            self.found.fail(root.name, error)
            return
        files = [
            (place.joinpath(file.path.removeprefix(root.path).strip("/")), file)
            for file in below
            if self._is_wanted(file, root)
        ]
        files.sort(key=lambda pair: _order(pair[0]))
        heads = urls.heads([file for _, file in files])
        for (inner, file), head in zip(files, heads, strict=True):
            self._file(file, inner, head, is_named=False)

    def _is_wanted(self, file: urls.RemoteFile, root: urls.RemoteFile) -> bool:
        """Whether a file below a root is read."""
        inner = PurePosixPath(file.path.removeprefix(root.path))
        below = [key for key in self._excluded if key.startswith(f"{root.key}/")]
        if any(map(is_hidden, inner.parts)):
            self.found.skip(HIDDEN, file.name)
        elif any(f"{file.key}/".startswith(f"{key}/") for key in below):
            self.found.skip(OUTPUT, file.name)
        else:
            return self._is_new(file)
        return False

    def _is_new(self, file: urls.RemoteFile) -> bool:
        return self._walk.is_new(Entry(file.name, PurePosixPath(), file.key))

    def _file(self, source: File, place: PurePosixPath, head: bytes, is_named: bool) -> None:
        """A file, by its content and name."""
        if is_archive(place.name):
            self._archive(source, place, is_named)
            return
        kind = kind_of(place.name, head)
        if kind.is_picture or is_named:
            self.found.items.append(Item(source, place, kind.format, is_named=is_named))
        else:
            self.found.skip(OTHERS, source.name)

    def _archive(self, source: File, place: PurePosixPath, is_named: bool) -> None:
        try:
            archive = Archive(source, self._most)
        except Exception as error:  # one that isn't foreseen fails alone, too
            self.found.fail(source.name, error)
            return
        for name in archive.hidden:
            self.found.skip(HIDDEN, name)
        if archive.pages:
            self.found.items.append(Item(source, place, archive=archive, is_named=is_named))
        elif is_named:
            self.found.fail(source.name, BadInput("the archive has no picture"))
        else:
            self.found.skip(OTHERS, source.name)


def _order(place: PurePosixPath) -> list[tuple[list[str | int], str]]:
    return [natural(part) for part in place.parts]


def natural(name: str) -> tuple[list[str | int], str]:
    """The key that sorts names as people do: page2 before page10."""
    parts = _DIGITS.split(name)
    return [int(part) if i % 2 else part.casefold() for i, part in enumerate(parts)], name
