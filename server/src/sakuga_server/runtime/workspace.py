"""What a running server has on disk and in /dev/shm, and its removal.

A folder in the user's cache, and segments of shared memory whose names begin with the folder's. A
lock in the folder is held by the server and by everything that it started: once it is free, all of
them are gone, and whoever finds the folder may remove it.
"""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sakuga_core.paths import cache_folder

SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Workspace:
    """A folder that lasts as long as its server."""

    folder: Path
    lock: int
    """File descriptor; processes that inherit it hold the lock, too."""

    @property
    def models(self) -> Path:
        """For the runtime repository."""
        return self.folder / "models"

    @property
    def backends(self) -> Path:
        """For Triton's backends."""
        return self.folder / "backends"

    @property
    def stderr(self) -> Path:
        """For what its Python processes write to standard error; see `sakuga_server.stderr`."""
        return self.folder / "stderr"

    @property
    def prefix(self) -> str:
        """Of the names of its segments of shared memory."""
        return prefix_of(self.folder)


@contextmanager
def workspace() -> Iterator[Workspace]:
    """A new workspace; when the block ends, it is removed. Those that servers left behind, which
    were killed with everything around them, are removed first.
    """
    parent = _writable_parent()
    with (parent / "lock").open("w") as creating:
        fcntl.flock(creating, fcntl.LOCK_EX)  # or a new folder might be removed before it is locked
        sweep(parent)
        folder = parent / f"{os.getpid()}-{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield Workspace(folder, lock)
    finally:
        remove(folder)
        os.close(lock)


def sweep(parent: Path) -> None:
    """Removes the workspaces in a folder that no process holds any more."""
    for lock in parent.glob("*/lock"):
        with suppress(OSError), lock.open() as file:  # in use, or already removed
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(lock.parent)


def remove(folder: Path) -> None:
    """Removes a workspace and its segments. Nothing happens to what is already gone."""
    for segment in SHARED_MEMORY.glob(f"{prefix_of(folder)}*"):
        with suppress(OSError):
            segment.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def prefix_of(folder: Path) -> str:
    return f"sakuga-{folder.name}-"


def _writable_parent() -> Path:
    """In the user's cache; where nobody may write there, in the folder for temporary files."""
    for base in (cache_folder(), Path(tempfile.gettempdir(), f"sakuga-{os.getuid()}")):
        parent = base / "repositories"
        with suppress(OSError):
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.access(parent, os.W_OK):
                return parent
    return Path(tempfile.mkdtemp(prefix="sakuga-"))
