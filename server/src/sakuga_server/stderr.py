"""What C libraries write to the standard error of Triton's Python processes: it becomes lines of
the log, with the request that they belong to.

Their descriptor is turned to a file, whose content is taken into the log before and after each
request. What a process that dies leaves there, the supervisor finds.
"""

import logging
import os
from pathlib import Path
from typing import Self

from sakuga_core import logs

log = logging.getLogger("sakuga.stderr")

# Environment variable: the folder of these files. Without it, standard error stays what it is.
FOLDER = "SAKUGA_STDERR"
STANDARD_ERROR = 2
MOST_BYTES = 16 * 1024  # that are logged of one request
LAST_LINES = 5  # of a process that died


class Captured:
    """This process's standard error.

    Args:
        descriptor: of the file that it is turned to; None: it isn't.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    @classmethod
    def of_model(cls, name: str) -> Self:
        """Of a process of a Triton model, and its log in the server's format."""
        folder = os.environ.get(FOLDER)
        if folder is None:
            logs.set_up_in_child(model=name)
            return cls(None)
        target = os.fdopen(os.dup(STANDARD_ERROR), "w")
        logs.set_up_in_child(target, model=name)
        flags = os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(Path(folder, str(os.getpid())), flags, 0o600)
        os.dup2(descriptor, STANDARD_ERROR)
        return cls(descriptor)

    def log(self) -> None:
        """Takes what there is into the log."""
        if self._descriptor is None or not (size := os.fstat(self._descriptor).st_size):
            return
        text = os.pread(self._descriptor, min(size, MOST_BYTES), 0).decode(errors="replace")
        os.ftruncate(self._descriptor, 0)
        for line in filter(str.strip, text.splitlines()):
            log.warning("%s", line.rstrip())


def last_lines(folder: Path, pid: int) -> list[str]:
    """What a process that has died wrote at last; its file is removed."""
    file = folder / str(pid)
    try:
        text = file.read_text(errors="replace")
        file.unlink()
    except OSError:  # it wrote nowhere
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-LAST_LINES:]
