"""What results are called."""

import os
import re
import string
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from sakuga.files.archives import SUFFIXES
from sakuga_core.errors import BadInput
from sakuga_core.formats import BY_SUFFIX, FileFormat

FIELDS = (
    *("stem", "name", "ext", "parent", "index", "action", "model", "scale", "width", "height"),
)
SIZES = ("scale", "width", "height")  # known only when a picture is done, unless options say them
LONGEST = 255  # bytes of a name, which every common file system allows


def stem(name: str) -> str:
    """A file's name without the suffix of a picture or an archive: `p.01` is all stem."""
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in (*BY_SUFFIX, *SUFFIXES) else path.name


def stems(
    places: Sequence[tuple[PurePosixPath, tuple[str, ...]]],
    keep: Set[int] = frozenset(),
    advice: str = "",
) -> list[str]:
    """A path without suffix for each result, so that no two get one name.

    It is `folder/stem`; where that would give two results one name, all of them keep the suffix of
    their picture: `folder/a.jpg` beside `folder/a.png`.

    Args:
        places: of each picture, and the suffixes that its result may get.
        keep: those that keep their suffix in any case.
        advice: for the error.

    Raises:
        BadInput: two pictures of the same name would get one place.
    """
    kept = set(keep)
    while True:
        names = [
            str(place if i in kept else place.with_name(stem(place.name)))
            for i, (place, _) in enumerate(places)
        ]
        clash = {i for group in _clashes(names, places) for i in group}
        if clash <= kept:
            break
        kept |= clash
    for first, second, *_ in _clashes(names, places):
        raise BadInput(
            f"two pictures would both become {names[first]}{places[second][1][0]}{advice}"
        )
    return names


def _clashes(
    names: Sequence[str], places: Sequence[tuple[PurePosixPath, tuple[str, ...]]]
) -> Iterator[list[int]]:
    owners: dict[str, list[int]] = {}
    for i, (name, (_, suffixes)) in enumerate(zip(names, places, strict=True)):
        for suffix in suffixes:
            owners.setdefault(name + suffix, []).append(i)
    return (group for group in owners.values() if len(group) > 1)


@dataclass(frozen=True)
class Template:
    """The name of a result, as far as it is known before the result."""

    pattern: str
    """With fields in braces, as `str.format` has them."""
    values: Mapping[str, object]
    """Of the fields that are known."""

    def path(self, suffix: str, sizes: Mapping[str, object] | None = None) -> str:
        """The path of a result.

        Args:
            suffix: of its format, with the dot; the path gets it unless its own one says the same.
            sizes: `scale`, `width` and `height` of the result, where the pattern needs them.
        """
        values = {"ext": suffix[1:], **(sizes or {}), **self.values}
        path = re.sub("/+", "/", self.pattern.format_map(values)).removeprefix("./")
        if not self.pattern.startswith("/"):
            path = path.lstrip("/")  # behind a field that is empty
        own = os.path.splitext(path)[1]
        if own == suffix or _same_format(own, suffix):
            return path
        return path[: len(path) - len(own)] + suffix if own.lower() in BY_SUFFIX else path + suffix


def _same_format(one: str, other: str) -> bool:
    row = BY_SUFFIX.get(one.lower())
    return row is not None and row is BY_SUFFIX.get(other)


def fields(pattern: str) -> set[str]:
    """The fields of a pattern.

    Raises:
        BadInput: it isn't one, or has an unknown field.
    """
    try:
        parts = [part for part in string.Formatter().parse(pattern) if part[1] is not None]
    except ValueError as error:
        reason = _brace(str(error))
        raise BadInput(f"-o {pattern}: {reason}; braces of a name are doubled: {{{{") from None
    found = [str(name) for _, name, _, _ in parts]
    if any("{" in str(spec) for _, _, spec, _ in parts):
        raise BadInput(f"-o {pattern} has a field within a field; allowed: {{index:03}}")
    for name in found:
        if name not in FIELDS:
            raise BadInput(f"-o {pattern} has the field {{{name}}}; allowed: {', '.join(FIELDS)}")
    return set(found)


def _brace(reason: str) -> str:
    """What `string.Formatter` finds wrong with the braces of a pattern."""
    if "Single '}'" in reason:
        return "an opening brace, {, is missing"
    is_open = any(words in reason for words in ("expected '}'", "Single '{'", "end of string"))
    return "a closing brace, }, is missing" if is_open else reason


def known_sizes(options: Mapping[str, Any]) -> dict[str, object]:
    """The sizes of results that options say."""
    sizes = [name for name in SIZES if options.get(name) is not None]
    if {"width", "height"} <= set(sizes):  # a picture fits within both
        return {}
    return {name: number(options[name]) for name in sizes}


def number(value: float) -> float | int:
    """A number as people write it: 2, not 2.0."""
    return int(value) if float(value).is_integer() else round(value, 3)


def check_pattern(template: Template, suffix: str) -> None:
    """
    Raises:
        BadInput: the pattern can't be filled in.
    """
    try:
        template.path(suffix, dict.fromkeys(SIZES, 1))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise BadInput(f"-o {template.pattern}: {error}") from None


def check_length(path: str) -> None:
    """
    Raises:
        BadInput: a file system can't have such a name.
    """
    for name in path.split("/"):
        if (length := len(os.fsencode(name))) > LONGEST:
            raise BadInput(
                f"the name {name[:40]}… has {length} bytes; allowed: {LONGEST}; "
                "give -o a pattern, such as out/{index}.{ext}"
            )


def suffix_of(format: FileFormat) -> str:
    """Of results of a format."""
    return format.suffixes[0]


def escaped(path: str) -> str:
    """A path as a pattern without fields."""
    return path.replace("{", "{{").replace("}", "}}")
