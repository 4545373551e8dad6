"""Files that are there whole or not at all, and locks between processes."""

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# How unfinished files are called. The name is short, whatever the target's is: a file system allows
# 255 bytes.
PREFIX, SUFFIX = ".sakuga-", ".tmp"

# What `link` fails with where a file system has no hard links.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


class Unfinished:
    """A file that is written beside its place: `finish` moves it there, `discard` removes it.

    While it is open it is locked, so that `remove_abandoned` can tell it from what a killed process
    has left.

    Args:
        target: its place; the folder is made if need be.
        mode: its permissions, less those that the process's umask withholds.
        replace: whether a file in its place is replaced.

    Raises:
        OSError: it can't be made.
    """

    def __init__(self, target: Path, mode: int = 0o666, *, replace: bool = True) -> None:
        self.target, self.replace = target, replace
        with _naming(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            self._path, descriptor = _made(target.parent, mode)
        self.file = os.fdopen(descriptor, "w+b")

    def finish(self) -> None:
        """Moves it to its place, once all of it is on the disk.

        Raises:
            FileExistsError: another file is there, which isn't to be replaced.
            OSError: it can't be written or moved; what was there before stays.
        """
        try:
            self.file.flush()
            os.fsync(self.file.fileno())
            with _naming(self.target):
                self._put_in_place()
        except BaseException:
            self.discard()
            raise
        self.file.close()

    def _put_in_place(self) -> None:
        if self.replace:
            self._path.replace(self.target)
        else:
            _move(self._path, self.target)

    def discard(self) -> None:
        """Removes it."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):  # what is left to write has no room
            self.file.close()


@contextmanager
def _naming(target: Path) -> Iterator[None]:
    """Has the system's errors name the file that is written, and not the unfinished one beside it.

    Raises:
        OSError: of the same class.
    """
    try:
        yield
    except OSError as error:
        if not os.path.basename(str(error.filename)).startswith(PREFIX):
            raise
        raise OSError(error.errno, error.strerror, str(target)) from None


def write_whole(target: Path, data: bytes, mode: int = 0o666, *, replace: bool = True) -> None:
    """Writes a file beside its place, then renames it: nobody ever reads half of it.

    Args:
        target: the file; its folder is made if need be.
        data: its content.
        mode: its permissions, less those that the process's umask withholds.
        replace: whether a file in its place is replaced.

    Raises:
        FileExistsError: another file is there, which isn't to be replaced.
        OSError: it can't be written; what was there before stays.
    """
    unfinished = Unfinished(target, mode, replace=replace)
    try:
        unfinished.file.write(data)
    except BaseException:
        unfinished.discard()
        raise
    unfinished.finish()


def remove_abandoned(folder: Path) -> int:
    """Removes the unfinished files in a folder whose processes have ended; returns how many."""
    removed = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.name.endswith(SUFFIX):
                removed += _removed_if_abandoned(entry.path)
    return removed


def _removed_if_abandoned(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    except OSError:  # in use, or a file system without locks
        return False
    finally:
        os.close(descriptor)
    return True


def _made(folder: Path, mode: int) -> tuple[Path, int]:
    """A new unfinished file, open and locked."""
    while True:
        path = folder / f"{PREFIX}{secrets.token_hex(6)}{SUFFIX}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with suppress(OSError):  # a file system without locks: nobody removes it then, either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # removed by another process before it was locked


def _move(path: Path, target: Path) -> None:
    """
    Raises:
        FileExistsError: there is a file.
    """
    try:
        os.link(path, target)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        path.replace(target)
    else:
        path.unlink()


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Holds a lock while the block runs; other processes and threads wait for it.

    Args:
        file: made if need be, and left there: removing it would let two in.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
