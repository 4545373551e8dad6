"""Files that are there whole or not at all, and locks between processes."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(target: Path, data: bytes, mode: int = 0o666) -> None:
    """Writes a file beside its place, then renames it: nobody ever reads half of it.

    Args:
        target: the file; its folder is made if need be.
        data: its content.
        mode: its permissions, less those that the process's umask withholds.

    Raises:
        OSError: it can't be written; what was there before stays.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


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
