"""A finished picture: as a file, as an array, and as notebooks show it."""

import base64
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sakuga_core.atomic import write_whole
from sakuga_core.errors import BadInput, BadOption
from sakuga_core.formats import BY_SUFFIX, HEAD, FileFormat, recognised


class Reply(NamedTuple):
    """A finished picture. Notebooks show it."""

    result: bytes
    """The picture, an encoded file; for `format: raw` its pixels, which `pixels` reads."""
    report: dict[str, Any]
    """What was done: model, sizes, tiles, milliseconds per stage, warnings, notes."""

    @property
    def pixels(self) -> npt.NDArray[Any]:
        """The pixels of a result of `format: raw`, uint8 or uint16 (1, H, W, C).

        C is 1 for gray, 3 for RGB, and one more with alpha, which isn't premultiplied. The array is
        read-only and shares the memory of `result`.

        Raises:
            BadOption: the result is an encoded file.
        """
        if not self._is_pixels:
            raise BadOption("the result is an encoded file; `pixels` needs the option format: raw")
        output = self.report["output"]
        dtype = np.dtype(output["dtype"]).newbyteorder("<")
        return np.frombuffer(self.result, dtype).reshape(output["shape"])

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the file: whole, or not at all. A file that is there already is replaced.

        Args:
            path: where to; folders are made if need be.

        Returns:
            The path.

        Raises:
            BadOption: the result is pixels, and no file.
            BadInput: the name's suffix belongs to another format.
            OSError: it can't be written.
        """
        target, kind = Path(path), self._format
        if self._is_pixels:
            raise BadOption("the result is pixels; `save` needs another option than format: raw")
        named = BY_SUFFIX.get(target.suffix.lower())
        if named and kind and named is not kind:
            raise BadInput(
                f"{target} would hold {kind.title} data; allowed: {', '.join(kind.suffixes)}, "
                f"or a request with format: {named.name}"
            )
        write_whole(target, self.result)
        return target

    @property
    def _is_pixels(self) -> bool:
        return "shape" in self.report.get("output", {})

    @property
    def _format(self) -> FileFormat | None:
        return None if self._is_pixels else recognised(self.result[:HEAD])

    def _of_type(self, *types: str) -> bytes | None:
        """The file, if it has one of those media types."""
        return self.result if self._format and self._format.media_type in types else None

    def _repr_png_(self) -> bytes | None:
        return self._of_type("image/png")

    def _repr_jpeg_(self) -> bytes | None:
        return self._of_type("image/jpeg")

    def _repr_html_(self) -> str | None:
        """Formats that notebooks have no other way to show."""
        if not self._of_type("image/webp", "image/gif", "image/avif"):
            return None
        assert self._format
        data = base64.b64encode(self.result).decode()
        return f'<img src="data:{self._format.media_type};base64,{data}">'
