"""A finished picture, and the array of one that came without a file."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sakuga_core.errors import BadOption


class Reply(NamedTuple):
    """A finished picture."""

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
        output = self.report.get("output", {})
        if "shape" not in output:
            raise BadOption("the result is an encoded file; `pixels` needs the option format: raw")
        dtype = np.dtype(output["dtype"]).newbyteorder("<")
        return np.frombuffer(self.result, dtype).reshape(output["shape"])
