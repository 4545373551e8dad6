"""CHANGELOG.md: the section of a version, and a new one of what isn't released yet."""

import re
from pathlib import Path

PROJECT = Path(__file__).parents[1]
FILE = PROJECT / "CHANGELOG.md"
UNRELEASED = "Unreleased"
HEADING = re.compile(r"^## \[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)


def sections(text: str) -> dict[str, str]:
    """What each version has, by its name; the newest is first, after what isn't released."""
    _, *parts = HEADING.split(text)
    return {name: body.strip() for name, _, body in zip(*[iter(parts)] * 3, strict=True)}


def dates(text: str) -> dict[str, str]:
    """The day of each version."""
    return {name: day for name, day in HEADING.findall(text) if day}


def released(text: str, version: str, day: str) -> str:
    """The changelog after what isn't released has become a version; as it is if that is there.

    Raises:
        ValueError: there is nothing to release.
    """
    found = sections(text)
    if version in found:
        return text
    if not found[UNRELEASED]:
        raise ValueError("CHANGELOG.md has nothing under [Unreleased]")
    heading = f"## [{UNRELEASED}]\n"
    return text.replace(heading, f"{heading}\n## [{version}] - {day}\n", 1)
