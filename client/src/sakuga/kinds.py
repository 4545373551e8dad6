"""Pictures of every kind that a caller may have: as a file for the server, and the result as the
same kind.

| given | sent | returned |
|---|---|---|
| bytes, bytearray, memoryview | as it is | bytes |
| str, Path | the file there | `Reply` |
| NumPy array | PNG | NumPy array |
| Pillow image | PNG or TIFF | Pillow image |
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from sakuga import arrays
from sakuga.inputs import file_bytes, is_path
from sakuga.reply import Reply
from sakuga_core.errors import BadOption


@dataclass(frozen=True)
class Given:
    """A picture to send."""

    data: bytes
    """An encoded file."""
    options: Mapping[str, Any]
    """Those of the caller, and what the way back needs."""
    back: Callable[[Reply], Any]
    """Makes the result the caller's kind."""


def given(picture: Any, options: Mapping[str, Any]) -> Given:
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
        return Given(arrays.png(picture), _as_pixels(options, "array"), as_array)
    if is_pillow(picture):
        from sakuga import pillow

        as_image = partial(pillow.image_of, source=picture)
        return Given(pillow.file_of(picture), _as_pixels(options, "image"), as_image)
    data = file_bytes(picture, also=", a NumPy array, an image of Pillow")
    return Given(data, options, _itself if is_path(picture) else _file)


def is_pillow(picture: object) -> bool:
    """Whether that is an image of Pillow, which isn't imported to find out."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(picture, module.Image)


def _itself(reply: Reply) -> Reply:
    return reply


def _file(reply: Reply) -> bytes:
    return reply.result


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
    return {**options, "mask": given(mask, {}).data}
