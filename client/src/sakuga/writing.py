"""Errors of files that are written beside their place first."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sakuga_core.atomic import PREFIX


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Has the system's errors name a file that is written, and not the unfinished one beside it.

    Raises:
        OSError: of the same class.
    """
    try:
        yield
    except OSError as error:
        if not os.path.basename(str(error.filename)).startswith(PREFIX):
            raise
        raise OSError(error.errno, error.strerror, name) from None
