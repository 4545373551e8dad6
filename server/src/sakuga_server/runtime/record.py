"""The record of a running server, by which clients of the same user find it and its key."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sakuga_core.atomic import write_whole
from sakuga_core.paths import cache_folder
from sakuga_server.runtime.embedded import Embedded

log = logging.getLogger("sakuga")


@contextmanager
def recorded(running: Embedded) -> Iterator[None]:
    """Keeps the record, which this user alone can read, while the block runs. Where it can't be
    written, the server serves without it."""
    file = cache_folder() / "servers" / f"{running.url.rpartition(':')[2]}.json"
    try:
        _write(file, running)
    except OSError as error:
        log.warning(
            "no record of this server, %s (%s): commands need --url, and SAKUGA_ADMIN_KEY to "
            "administer it",
            *(file, error.strerror),
        )
        yield
        return
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _write(file: Path, running: Embedded) -> None:
    values = {"url": running.url, "key": running.key, "pid": os.getpid()}
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(file, json.dumps(values).encode(), mode=0o600)
