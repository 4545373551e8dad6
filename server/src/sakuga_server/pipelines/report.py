"""A pipeline's report on its work, beside the picture."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from sakuga_core.options import Format, RembgOptions, UpscaleOptions
from sakuga_server.imaging.picture import Picture


class Stages(dict[str, float]):
    """Milliseconds by the name of the stage that took them."""

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self[name] = round(1000 * (time.perf_counter() - start), 1)


class Request(Protocol):
    """One request, as far as its report has to know it."""

    @property
    def model(self) -> str: ...
    @property
    def options(self) -> UpscaleOptions | RembgOptions: ...
    @property
    def notes(self) -> list[str]: ...


def report(
    request: Request,
    action: str,
    source: Picture,
    result: Picture,
    stages: Stages,
    sizes: tuple[int, int],
) -> dict[str, Any]:
    """What every action reports.

    Args:
        sizes: of the two files, or of raw pixels, in bytes.
    """
    return {
        "action": action,
        "model": request.model,
        "input": _facts(source, sizes[0]),
        "output": {**_facts(result, sizes[1]), **_written(result, request.options.format)},
        "milliseconds": stages,
        "warnings": result.warnings,
        "notes": request.notes,
    }


def _facts(picture: Picture, size: int) -> dict[str, Any]:
    about = {"width": picture.width, "height": picture.height}
    return {**about, "mode": picture.mode, "bytes": size}


def _written(picture: Picture, format: Format) -> dict[str, Any]:
    """The format, and what a reader of raw pixels has to know of them."""
    if format != "raw":
        return {"format": format}
    shape = [1, picture.height, picture.width, picture.channels]
    return {"format": format, "shape": shape, "dtype": picture.colour.dtype.name}
