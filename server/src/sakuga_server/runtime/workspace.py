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

from sakuga_core.errors import ConfigError
from sakuga_core.paths import cache_folder
from sakuga_server.runtime.guard import NOTE

SHARED_MEMORY = Path("/dev/shm")
# Triton's Python backend makes such a folder for packages that models bring along, of which there
# are none here, and leaves it behind, empty, when it is killed.
TRITONS, OF_TRITON = Path("/tmp"), "python_env_*"
LEAST = 16 * 2**20  # bytes that have to be free for a workspace, which takes a third of that


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

    def adopt(self, before: set[Path]) -> None:
        """Has the folder that Triton makes when it starts removed with this one. To be called until
        it is there: of several, nobody knows which is whose, so they stay.

        Args:
            before: `tritons_folders` before it was started.
        """
        note = self.folder / NOTE
        if not note.is_symlink() and len(made := tritons_folders() - before) == 1:
            with suppress(OSError):  # no room; then it stays
                note.symlink_to(made.pop())


@contextmanager
def workspace() -> Iterator[Workspace]:
    """A new workspace; when the block ends, it is removed. Those that servers left behind, which
    were killed with everything around them, are removed first.

    Raises:
        ConfigError: there is no room for it.
    """
    parent = _parent()
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
    with suppress(OSError):
        (folder / NOTE).readlink().rmdir()
    shutil.rmtree(folder, ignore_errors=True)


def tritons_folders() -> set[Path]:
    """Those that Tritons made for packages, also others' Tritons."""
    return set(TRITONS.glob(OF_TRITON))


def prefix_of(folder: Path) -> str:
    return f"sakuga-{folder.name}-"


def _parent() -> Path:
    """In the user's cache; where there is no room for it, in the folder for temporary files."""
    problems = []
    for base in (cache_folder(), Path(_temporary(), f"sakuga-{os.getuid()}")):
        parent = base / "repositories"
        problem = _problem(parent)
        if problem is None:
            return parent
        problems.append(f"{parent}: {problem}")
    raise ConfigError(
        f"no folder for the server's files ({'; '.join(problems)}); "
        "set XDG_CACHE_HOME or TMPDIR to another folder"
    )


def _temporary() -> str:
    """The folder for temporary files, also where Python finds none that can be written to."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return os.environ.get("TMPDIR", "/tmp")


def _problem(parent: Path) -> str | None:
    """Why a folder can't be the parent of workspaces; None: it can. It is made, if need be."""
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Triton loads libraries from there.
        if parent.stat().st_uid != os.getuid():
            return "another user's"
        free = shutil.disk_usage(parent).free
    except OSError as error:
        return error.strerror
    if not os.access(parent, os.W_OK | os.X_OK):
        return "it can't be written to"
    return f"{free >> 20} MB free, less than {LEAST >> 20}" if free < LEAST else None
