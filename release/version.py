"""Sets the version, everywhere: `python release/version.py 0.2.0`. Without one, prints it.

The five distributions have one version, and depend on each other in exactly that version. Images,
chart and citation have it, too, and what CHANGELOG.md has under [Unreleased] becomes its section.
"""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import changelog

PROJECT = changelog.PROJECT
VERSION = re.compile(r"\d+\.\d+\.\d+")  # which Python and Helm read alike

# Where it stands: files, and what comes before it there.
PLACES = (
    ("*/pyproject.toml", r'^version = "'),
    ("*/pyproject.toml", r'"sakuga(?:-\w+)?(?:\[[\w,]+\])?=='),
    ("kubernetes/sakuga/Chart.yaml", r"^(?:version|appVersion): "),
    ("kubernetes/kserve/*.yaml", r"image: sakuga/\w+:"),
    ("docker/compose.yaml", r"image: sakuga/\w+:"),
    ("CITATION.cff", r"^version: "),
)


def places() -> list[tuple[Path, re.Pattern[str]]]:
    """Each file with a version, and what finds it; the version itself is the second group."""
    return [
        (file, re.compile(rf"({before})({VERSION.pattern})", re.MULTILINE))
        for files, before in PLACES
        for file in sorted(PROJECT.glob(files))
    ]


def current() -> str:
    """The version of the client, and so of all."""
    text = (PROJECT / "client" / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "([^"]+)"', text, re.MULTILINE)
    assert found
    return found[1]


def set_version(version: str, day: str) -> None:
    """Writes it to all places.

    Args:
        day: of its release.

    Raises:
        ValueError: it is none, or there is nothing to release.
    """
    if not VERSION.fullmatch(version):
        raise ValueError(f"{version!r} isn't a version; allowed: three numbers, such as 0.2.0")
    text = changelog.FILE.read_text(encoding="utf-8")
    day = changelog.dates(text).get(version, day)
    changelog.FILE.write_text(changelog.released(text, version, day), encoding="utf-8")
    for file, pattern in places():
        _replace(file, pattern, rf"\g<1>{version}")
    _replace(PROJECT / "CITATION.cff", re.compile(r"^(date-released: ).*", re.M), rf"\g<1>{day}")


def _replace(file: Path, pattern: re.Pattern[str], new: str) -> None:
    file.write_text(pattern.sub(new, file.read_text(encoding="utf-8")), encoding="utf-8")


def main() -> None:
    """Sets what is given, and says what the version is."""
    try:
        for version in sys.argv[1:]:
            set_version(version, datetime.now(UTC).date().isoformat())
    except ValueError as error:
        sys.exit(str(error))
    print(current())


if __name__ == "__main__":
    main()
