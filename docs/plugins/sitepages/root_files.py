"""Pages that are files of the repository's root."""

from collections.abc import Mapping

PAGES: Mapping[str, str] = {
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}

# Files that have a page which tells the same.
ALSO: Mapping[str, str] = {"README.md": "index.md", "config.yaml": "reference/config.md"}
