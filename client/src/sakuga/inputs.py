"""Pictures as callers give them: as a file for the server, and the result as the same kind.

| given | sent | returned |
|---|---|---|
| bytes, bytearray, memoryview | as it is | bytes |
| str, Path | the file there | `Reply` |
| NumPy array | PNG | NumPy array |
| Pillow image | PNG or TIFF | Pillow image |
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from sakuga import arrays
from sakuga.reply import Reply
from sakuga_core.errors import BadImage, BadInput, BadOption, TooLarge

ImageFile = bytes | bytearray | memoryview | str | os.PathLike[str]
"""An encoded picture file: its bytes, or its path."""

ALLOWED = "bytes, bytearray, memoryview, the path of a file (str, Path)"


@dataclass(frozen=True)
class Input:
    """A picture to send."""

    data: bytes
    """An encoded file."""
    options: Mapping[str, Any]
    """Those of the caller, and what `result_of` needs."""
    result_of: Callable[[Reply], Any]
    """Makes the result the caller's kind."""


def input_of(picture: Any, options: Mapping[str, Any]) -> Input:
    """A picture of any kind, with the options of its request.

    A `mask` among the options may be of any kind, too, or an array of bool.

    Raises:
        TypeError: it is of no such kind.
        BadImage: an array or image of a shape or mode that no picture has.
        BadInput: a file can't be read.
        BadOption: `format` names a file's, where the result is an array or image.
    """
    options = _with_mask(options)
    if isinstance(picture, np.ndarray):
        as_array = partial(arrays.pixels_of, axes=picture.ndim)
        return Input(arrays.png(picture), _as_pixels(options, "array"), as_array)
    if _is_pillow(picture):
        from sakuga import pillow

        as_image = partial(pillow.image_of, source=picture)
        return Input(pillow.file_of(picture), _as_pixels(options, "image"), as_image)
    data = file_bytes(picture, also=", a NumPy array, an image of Pillow")
    if _is_path(picture):
        return Input(data, options, lambda reply: reply)
    return Input(data, options, lambda reply: reply.result)


def _is_pillow(picture: object) -> bool:
    """Whether that is an image of Pillow, which isn't imported to find out."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(picture, module.Image)


def _is_path(image: object) -> TypeGuard[str | os.PathLike[str]]:
    return isinstance(image, str | os.PathLike)


def _as_pixels(options: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    if options.get("format") not in (None, "raw"):
        raise BadOption(
            f"option 'format' is {options['format']!r}; allowed with an {kind}: none, as the "
            f"result is an {kind}, too"
        )
    return {**options, "format": "raw"}


def _with_mask(options: Mapping[str, Any]) -> Mapping[str, Any]:
    mask = options.get("mask")
    if mask is None:
        return options
    if isinstance(mask, np.ndarray) and mask.dtype == bool:
        mask = np.where(mask, np.uint8(255), np.uint8(0))
    return {**options, "mask": input_of(mask, {}).data}


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
        if not _is_path(image):
            raise
        raise type(error)(f"{os.fspath(image)}: {error}") from error
