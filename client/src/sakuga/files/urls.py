"""Files at addresses such as s3://bucket/page.png: the only importer of fsspec."""

import errno
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import IO, Any, BinaryIO
from urllib.parse import unquote, urlsplit

from sakuga.files.sources import check_size
from sakuga_core.errors import BadInput
from sakuga_core.formats import HEAD

_URL = re.compile(r"([a-z][a-z0-9+.-]+)://")
OURS = ("file", "local")  # protocols of this machine's own files
READ_ONLY = ("http", "https", "data", "github")


def is_url(text: str) -> bool:
    """Whether it is the address of a file that this machine's file system doesn't have."""
    found = _URL.match(text)
    return found is not None and found[1] not in OURS


def local_path(text: str) -> str:
    """The path of `file:///path`; other texts as they are."""
    found = _URL.match(text)
    return unquote(text[found.end() :]) if found and found[1] in OURS else text


@contextmanager
def _errors(name: str) -> Iterator[None]:
    """
    Raises:
        OSError: instead of whatever a file system raises.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise OSError(error.errno or errno.EIO, reason, name) from error
    except Exception as error:  # each of fsspec's file systems has its own
        raise OSError(errno.EIO, f"{type(error).__name__}: {error}", name) from error


def shown(url: str) -> str:
    """An address without the secrets that it may have: password and query."""
    address = re.sub(r"(://)[^/@]*@", r"\1", url)
    return address.partition("?")[0] if address.startswith("http") else address


@dataclass(frozen=True)
class RemoteFile:
    """A file at an address."""

    system: Any = field(repr=False)
    """fsspec's."""
    path: str
    """As that file system has it."""
    size: int | None = None

    @cached_property
    def name(self) -> str:
        """Its address, without secrets."""
        return shown(self.key)

    @cached_property
    def key(self) -> str:
        """Its address."""
        return str(self.system.unstrip_protocol(self.path))

    @property
    def parent(self) -> str:
        """See `Source`."""
        return PurePosixPath(plain_path(self)).parent.name

    def open(self) -> BinaryIO:
        """See `File`."""
        with _errors(self.name):
            file: BinaryIO = self.system.open(self.path, "rb")
            return file

    def read(self) -> bytes:
        """See `Source`."""
        check_size(self.size or 0)
        with _errors(self.name):
            return bytes(self.system.cat_file(self.path))


def located(url: str) -> RemoteFile:
    """The file or folder at an address, which need not exist.

    Raises:
        BadInput: fsspec, or its part for this protocol, isn't installed, or there is none.
    """
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(url)
    except ImportError as error:
        advice = str(error)
        if (error.name or "").startswith("fsspec"):
            advice = "`pip install 'sakuga[urls]'`"
        raise BadInput(f"{shown(url)} can't be reached: {advice}") from None
    except Exception as error:
        raise BadInput(f"{shown(url)} can't be used as an address: {error}") from None
    return RemoteFile(system, path)


def plain_path(file: RemoteFile) -> str:
    """A path that ends with the file's name; of http without host, query and escapes."""
    path = file.path
    return unquote(urlsplit(path).path) if _URL.match(path) else path.strip("/")


def is_folder(file: RemoteFile) -> bool:
    """Whether there is a folder; over http there is none.

    Raises:
        OSError: there is neither a folder nor a file, or it can't be reached.
    """
    if file.key.startswith(("http:", "https:")):
        return False
    with _errors(file.name):
        if file.system.isfile(file.path):
            return False
        if file.system.isdir(file.path):
            return True
        raise FileNotFoundError(errno.ENOENT, "no such file or folder")


def files_below(folder: RemoteFile) -> list[RemoteFile]:
    """The files below a folder.

    Raises:
        OSError: it can't be listed.
    """
    with _errors(folder.name):
        details = folder.system.find(folder.path, detail=True)
        return [RemoteFile(folder.system, path, row.get("size")) for path, row in details.items()]


def heads(files: Sequence[RemoteFile]) -> list[bytes]:
    """The first bytes of files of one file system, many at a time; none of a file that can't be
    read."""
    if not files:
        return []
    try:
        system, paths = files[0].system, [file.path for file in files]
        found = system.cat_ranges(paths, 0, HEAD, on_error="return")
    except Exception:  # not every server gives a part of a file
        return [b""] * len(files)
    return [bytes(head) if isinstance(head, bytes | bytearray) else b"" for head in found]


class UnfinishedRemote:
    """A file that is written on this machine first; see `sakuga_core.atomic.Unfinished`."""

    def __init__(self, target: RemoteFile) -> None:
        self._target = target
        self.file: IO[bytes] = tempfile.NamedTemporaryFile()  # noqa: SIM115 (`finish` closes it)

    def finish(self) -> None:
        """
        Raises:
            OSError: it can't be written.
        """
        with self.file as file:
            file.flush()
            _put(self._target, lambda system, path: system.put_file(file.name, path))

    def discard(self) -> None:
        """Gives it up."""
        self.file.close()


def _put(target: RemoteFile, put: Callable[[Any, str], object]) -> None:
    """
    Raises:
        OSError: it can't be written.
    """
    system, path = target.system, target.path
    with _errors(target.name):
        try:
            put(system, path)
        except FileNotFoundError:  # a file system that has folders, and not yet this one
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
            put(system, path)


class RemoteStore:
    """The file system of an address, for results.

    Args:
        there: a file or folder of it.

    Raises:
        BadInput: nothing can be written there.
    """

    def __init__(self, there: RemoteFile) -> None:
        self._system = there.system
        self._system.invalidate_cache()
        self._listed: dict[str, set[str]] = {}
        if there.key.partition(":")[0] in READ_ONLY:
            raise BadInput(f"results can't be written to {there.name}; name a folder or a bucket")

    def name(self, path: str) -> str:
        """See `Store`."""
        return self._at(path).name

    def key(self, path: str) -> str:
        """See `Store`."""
        return self._at(path).key

    def folder_key(self, path: str) -> str:
        """See `Store`."""
        return self._at(path).key.rstrip("/")

    def is_folder(self, path: str) -> bool:
        """See `Store`."""
        with _errors(self.name(path)):
            return bool(self._system.isdir(path))

    def exists(self, path: str) -> bool:
        """See `Store`; of each folder by one listing instead of many questions."""
        folder = path.rpartition("/")[0]
        if folder not in self._listed:
            with _errors(self.name(folder)):
                try:
                    self._listed[folder] = set(self._system.ls(folder, detail=False))
                except FileNotFoundError:
                    self._listed[folder] = set()
        return path in self._listed[folder]

    def identity(self, path: str) -> None:
        """See `Store`; there are no links."""

    def begin(self, path: str, *, replace: bool) -> UnfinishedRemote:
        """See `Store`."""
        self._check_free(path, replace)
        return UnfinishedRemote(self._at(path))

    def write(self, path: str, data: bytes, *, replace: bool) -> None:
        """See `Store`."""
        self._check_free(path, replace)
        _put(self._at(path), lambda system, path: system.pipe_file(path, data))

    def check(self, paths: Sequence[str]) -> None:
        """See `Store`; only writing itself can tell."""

    def _check_free(self, path: str, replace: bool) -> None:
        """
        Raises:
            FileExistsError: a file is there, which isn't to be replaced.
        """
        if not replace and self.exists(path):
            raise FileExistsError(errno.EEXIST, "File exists", self.name(path))

    def _at(self, path: str) -> RemoteFile:
        return RemoteFile(self._system, path)
