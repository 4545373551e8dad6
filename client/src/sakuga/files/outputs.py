"""What a command says of its results: `-o`, which means a folder, a file, a pattern of names, an
archive or standard output, and the options that decide on names and formats."""

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sakuga.files import urls
from sakuga.files.archives import is_archive
from sakuga.files.discovery import is_folder
from sakuga.files.naming import escaped, fields
from sakuga.files.sources import MOST, STANDARD
from sakuga.files.stores import LocalStore, StandardOutput, Store
from sakuga_core.errors import BadInput
from sakuga_core.formats import BY_SUFFIX, FORMATS, FileFormat, result_format

DEFAULT = "out"

STANDARD_OUTPUTS = (STANDARD, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")

_LETTERS = re.compile(r"\.[A-Za-z][A-Za-z0-9]*")  # a suffix, unlike the end of ch1.5


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What a command says of its results, besides `-o`."""

    action: str
    model: str
    format: str | None = None
    """The option, by a flag or config.yaml."""
    format_flag: str | None = None
    """The option, by a flag."""
    sizes: Mapping[str, object] = field(default_factory=dict)
    """`scale`, `width` and `height` of every result, as far as options say them."""
    frames: bool = True
    """Whether all frames of animated pictures are wanted."""
    adds_alpha: bool = False
    """Whether the action makes opaque pictures transparent."""
    skip_existing: bool = False
    overwrite: bool = False
    most: int = MOST
    """Bytes of a page of an archive, at most."""

    def formats(self, source: FileFormat | None) -> tuple[FileFormat, ...]:
        """The formats that a result may have, the likeliest first.

        Args:
            source: of the picture; whether it has several frames isn't known yet.
        """
        several = source is not None and (source.animation or source.pages) and self.frames
        rows = [
            result_format(self.format, source, frames=frames, adds_alpha=self.adds_alpha)
            for frames in ((False, True) if several else (False,))
        ]
        return tuple(dict.fromkeys(rows))


@dataclass(frozen=True)
class Output:
    """Where results go."""

    text: str
    """As it was given."""
    kind: Literal["folder", "file", "pattern", "archive", "standard"]
    store: Store
    pattern: str
    """Of their paths; of an archive its path; of a folder nothing."""
    folder: str
    """In which all of them will be."""
    format: FileFormat | None = None
    """That the name says."""

    @property
    def fields(self) -> set[str]:
        """Of the pattern."""
        return fields(self.pattern) if self.kind == "pattern" else set()

    @property
    def excluded(self) -> set[str]:
        """Keys of what isn't read as an input."""
        if self.kind in ("standard", "file"):
            return set()
        if self.kind == "archive":
            return {self.store.key(self.pattern)}
        return {self.store.folder_key(self.folder)}


def is_standard_output(text: str) -> bool:
    """Whether a value of `-o` means standard output."""
    return urls.local_path(text) in STANDARD_OUTPUTS


def output_of(text: str | None, inputs: Sequence[str]) -> Output:
    """What `-o` means.

    Args:
        text: its value; None: it wasn't given.
        inputs: of the command: for one file, `text` may be a file.

    Raises:
        BadInput: it can't be meant with these inputs.
    """
    if text is None:
        text = STANDARD if list(inputs) == [STANDARD] else DEFAULT
    if is_standard_output(text):
        return Output(text, "standard", StandardOutput(), "standard output.{ext}", "")
    if not text:
        raise BadInput("-o is empty; allowed: a folder, such as .")
    path, store = _store(text)
    if "{" in text and not store.is_folder(path):
        return _pattern(text, path, store)
    if text.endswith("/") or store.is_folder(path):
        return Output(text, "folder", store, "", path)
    return _by_suffix(text, path, store, inputs)


def _store(text: str) -> tuple[str, Store]:
    """The path that a text means, and the file system that has it.

    Raises:
        BadInput: it is a device or a pipe.
    """
    if not urls.is_url(text):
        path = urls.local_path(text)
        _check_no_device(text, path)
        return path, LocalStore()
    there = urls.located(text)
    return there.path, urls.RemoteStore(there)


def _check_no_device(text: str, path: str) -> None:
    """
    Raises:
        BadInput: it is a device, a pipe or a socket, whose place no result may take.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # nothing is there
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise BadInput(f"-o {text} is a device or a pipe; to write to it, use -o - > {path}")


def _pattern(text: str, path: str, store: Store) -> Output:
    """
    Raises:
        BadInput: it has unknown fields, or ends in a suffix of no format.
    """
    fields(path)
    name = os.path.basename(path)
    if path.endswith("/"):
        path += "{stem}.{ext}"
    elif "{ext}" not in name:
        row = _format(text, os.path.splitext(name)[1])
        path += "" if row else ".{ext}"
        return Output(text, "pattern", store, path, _fixed(path), row)
    return Output(text, "pattern", store, path, _fixed(path))


def _fixed(pattern: str) -> str:
    """The folder before the first field."""
    return os.path.dirname(pattern.partition("{")[0])


def _by_suffix(text: str, path: str, store: Store, inputs: Sequence[str]) -> Output:
    """A file or an archive, if it is called so, else a folder.

    Raises:
        BadInput: it is called like a file, which can't hold the results of these inputs.
    """
    suffix, folder = os.path.splitext(path)[1], os.path.dirname(path)
    if is_archive(path):
        return Output(text, "archive", store, path, folder)
    is_single = len(inputs) == 1 and not is_folder(inputs[0])
    if is_single and not is_archive(inputs[0]):
        if row := _format(text, suffix):
            return Output(text, "file", store, escaped(path), folder, row)
    elif suffix.lower() in BY_SUFFIX:
        raise BadInput(
            f"-o {text} is one file, for several pictures; name a folder, an archive (.cbz, .zip), "
            f"or a pattern such as '{{stem}}{suffix}'; a folder of that name ends with /"
        )
    return Output(text, "folder", store, "", path)


def _format(text: str, suffix: str) -> FileFormat | None:
    """The format that a suffix means; None: it means none.

    Raises:
        BadInput: it is one that no result can have.
    """
    row = BY_SUFFIX.get(suffix.lower())
    if row and row.writes:
        return row
    if row or _LETTERS.fullmatch(suffix):
        allowed = ", ".join(each.suffixes[0] for each in FORMATS if each.writes)
        raise BadInput(f"-o {text} ends in {suffix}; allowed: {allowed}, or / for a folder")
    return None
