"""Prints the text of a release: `python release/notes.py 0.2.0`.

It fails where that isn't the current version, or has no section in CHANGELOG.md, and so where a tag
was set on the wrong commit.
"""

import sys

import changelog
import version


def main() -> None:
    """Prints it."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else version.current()
    if wanted != version.current():
        sys.exit(f"the version here is {version.current()}, not {wanted}")
    found = changelog.sections(changelog.FILE.read_text(encoding="utf-8"))
    if wanted not in found:
        sys.exit(f"CHANGELOG.md has no section [{wanted}]")
    print(found[wanted])


if __name__ == "__main__":
    main()
