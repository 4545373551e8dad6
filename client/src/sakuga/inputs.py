"""Picture files as callers give them: their bytes, or the path of a file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sakuga_core.errors import BadImage, BadInput, TooLarge

ImageFile = bytes | bytearray | memoryview | str | os.PathLike[str]
"""An encoded picture file: its bytes, or its path."""

ALLOWED = "bytes, bytearray, memoryview, the path of a file (str, Path)"


def is_path(image: object) -> bool:
    """Whether that names a file."""
    return isinstance(image, str | os.PathLike)


def file_bytes(image: object, also: str = "") -> bytes:
    """The bytes of a picture file; of a path those of the file there.

    Args:
        image: an `ImageFile`.
        also: what else the caller takes, for the message.

    Raises:
        TypeError: it is something else.
        BadInput: the file can't be read.
    """
    if isinstance(image, bytes):
        return image
    if isinstance(image, bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | os.PathLike):
        return _read(Path(image))
    kind = "None" if image is None else type(image).__qualname__
    raise TypeError(f"the image is {kind}; allowed: {ALLOWED}{also}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # of a null byte in its name
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{path} can't be read ({reason})") from error


@contextmanager
def named(image: object) -> Iterator[None]:
    """Errors of the block that concern the picture name its file, where it is a path.

    Raises:
        BadImage, TooLarge: as the block does.
    """
    try:
        yield
    except (BadImage, TooLarge) as error:
        if not is_path(image):
            raise
        raise type(error)(f"{os.fspath(image)}: {error}") from error  # type: ignore[call-overload]
