"""The record of a running server, by which clients of the same user find it and its key."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from sakuga_core.atomic import write_whole
from sakuga_core.paths import cache_folder
from sakuga_server.runtime.embedded import Embedded


@contextmanager
def recorded(running: Embedded) -> Iterator[None]:
    """Keeps the record, which this user alone can read, while the block runs."""
    file = cache_folder() / "servers" / f"{running.url.rpartition(':')[2]}.json"
    values = {"url": running.url, "key": running.key, "pid": os.getpid()}
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(file, json.dumps(values).encode(), mode=0o600)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
