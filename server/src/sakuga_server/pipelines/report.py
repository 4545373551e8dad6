"""A pipeline's report on its work, beside the picture."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from sakuga_server.imaging.picture import Picture


class Stages(dict[str, float]):
    """Milliseconds by the name of the stage that took them; of frames in
    parallel, the sum."""

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self[name] = round(self.get(name, 0) + 1000 * (time.perf_counter() - start), 1)


class Request(Protocol):
    """One request, as far as its report has to know it."""

    @property
    def model(self) -> str: ...
    @property
    def stages(self) -> Stages: ...
    @property
    def notes(self) -> list[str]: ...


def report(
    request: Request,
    action: str,
    source: Picture,
    result: Picture,
    sizes: tuple[int, int],
    format: str,
) -> dict[str, Any]:
    """What every action reports of a single picture.

    Args:
        sizes: of the two files, or of raw pixels, in bytes.
        format: of the result.
    """
    return {
        "action": action,
        "model": request.model,
        "input": {**_facts(source, sizes[0]), "format": source.format},
        "output": {**_facts(result, sizes[1]), **_written(result, format)},
        "milliseconds": request.stages,
        "warnings": result.warnings,
        "notes": request.notes,
    }


def sequence_report(
    request: Request,
    action: str,
    pictures: tuple[Picture, Picture],
    sizes: tuple[int, int],
    format: str,
    frames: int,
    warnings: list[str],
) -> dict[str, Any]:
    """The same of a file with several frames or pages.

    Args:
        pictures: the last frame, and its result.
        warnings: of the whole file.
    """
    about = report(request, action, *pictures, sizes, format)
    found = list(dict.fromkeys([*warnings, *about["warnings"]]))
    return {**about, "frames": frames, "warnings": found}


def _facts(picture: Picture, size: int) -> dict[str, Any]:
    about = {"width": picture.width, "height": picture.height}
    return {**about, "mode": picture.mode, "bytes": size}


def _written(picture: Picture, format: str) -> dict[str, Any]:
    """The format, and what a reader of raw pixels has to know of them."""
    if format != "raw":
        return {"format": format}
    shape = [1, picture.height, picture.width, picture.channels]
    return {"format": format, "shape": shape, "dtype": picture.colour.dtype.name}
