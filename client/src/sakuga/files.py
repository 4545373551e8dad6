"""Which pictures a command means, where each result goes, and how it is written."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from sakuga_core.errors import BadInput

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}


@dataclass(frozen=True)
class FileTask:
    """A picture to process, and where its result goes."""

    source: Path
    target: Path
    options: Mapping[str, Any]


def find(pictures: Sequence[Path], output: Path, options: Mapping[str, Any]) -> list[FileTask]:
    """A task for each file named, and for each picture below each folder named.

    Args:
        output: a folder, in which folders keep their shape; for one file also a file, whose
            suffix (.png, .jpg, .webp) names the format unless `options` do.
        options: of every request.

    Raises:
        BadInput: the result would replace its own picture.
    """
    chosen = FORMATS.get(output.suffix.lower())
    if chosen and len(pictures) == 1 and pictures[0].is_file() and not output.is_dir():
        if output.exists() and output.samefile(pictures[0]):
            raise BadInput(f"the result would replace {output} itself; name another file")
        return [FileTask(pictures[0], output, {"format": chosen, **options})]
    suffix = {"jpeg": ".jpg", "webp": ".webp"}.get(options.get("format", "png"), ".png")
    sources = {s: place for picture in pictures for s, place in _walk(picture, output)}
    taken = {source.resolve() for source in sources}  # a result never replaces a picture
    tasks = []
    for source, place in sources.items():
        target = _free(output / place, suffix, taken)
        taken.add(target.resolve())
        tasks.append(FileTask(source, target, options))
    return tasks


def _free(place: Path, suffix: str, taken: Container[Path]) -> Path:
    """A target that isn't taken: `a.png`, else `a.jpg.png` (of a.jpg), else `a.jpg-2.png`."""
    name = place.name
    further = (place.with_name(f"{name}-{i}{suffix}") for i in count(2))
    names = chain([place.with_suffix(suffix), place.with_name(name + suffix)], further)
    return next(target for target in names if target.resolve() not in taken)


def _walk(picture: Path, output: Path) -> Iterator[tuple[Path, Path]]:
    """Pictures at or below a path, each with its path in the output folder."""
    if picture.is_file():
        yield picture, Path(picture.name)
        return
    for file in sorted(picture.rglob("*")):
        # A result of an earlier run isn't processed again.
        if output.resolve() in file.resolve().parents:
            continue
        if file.is_file() and file.suffix.lower() in SUFFIXES:
            yield file, file.relative_to(picture)
