"""Which files are pictures, by their content and name, and which belong to the system."""

import re
from pathlib import PurePosixPath
from typing import NamedTuple

from sakuga_core.formats import BY_SUFFIX, FileFormat, recognised

# What file managers, cameras and network storage leave in folders of pictures.
SYSTEM = {"thumbs.db", "desktop.ini", "@eadir", "__macosx", "$recycle.bin"}
SYSTEM |= {"system volume information", "lost+found"}

# Raw files of cameras are TIFF files that show a preview instead of the picture.
RAW = {".3fr", ".arw", ".cr2", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos"}
RAW |= {".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw"}

_DIGITS = re.compile(r"([0-9]+)")


class Kind(NamedTuple):
    """What a file is."""

    is_picture: bool
    format: FileFormat | None
    """By its content, for TGA by its name; None: only the name says that it is a picture."""


def kind_of(name: str, head: bytes) -> Kind:
    """What a file is.

    Args:
        name: of the file; its suffix counts where the content says nothing.
        head: its first `formats.HEAD` bytes.
    """
    suffix = PurePosixPath(name).suffix.lower()
    by_name = BY_SUFFIX.get(suffix)
    by_content = recognised(head) if suffix not in RAW else None
    if by_content is None and by_name is not None and by_name.name == "tga":
        return Kind(True, by_name)  # TGA files begin with no mark
    return Kind(by_content is not None or by_name is not None, by_content)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or the system's."""
    return name.startswith(".") or name.lower() in SYSTEM


def natural(name: str) -> tuple[list[str | int], str]:
    """The key that sorts names as people do: page2 before page10."""
    parts = _DIGITS.split(name)
    return [int(part) if i % 2 else part.casefold() for i, part in enumerate(parts)], name
