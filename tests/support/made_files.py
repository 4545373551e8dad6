"""Files whose first bytes say what they are; nobody decodes them."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)
JPEG = b"\xff\xd8\xff\xe0" + bytes(60)
GIF = b"GIF89a" + bytes(60)
WEBP = b"RIFF\0\0\0\0WEBPVP8L" + bytes(60)
AVIF = b"\0\0\0\x1cftypavif" + bytes(60)
TEXT = b"no picture at all, and long enough to be looked at in its whole first part"


def head(name: str) -> bytes:
    """A file's content, by its name."""
    contents = {".jpg": JPEG, ".jpeg": JPEG, ".gif": GIF, ".webp": WEBP, ".txt": TEXT, ".xml": TEXT}
    return contents.get(Path(name).suffix.lower(), PNG)


def made(folder: Path, *names: str) -> Path:
    """Makes files below a folder, each as its name says."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(head(name))
    return folder


def archive(file: Path, *names: str, **contents: bytes) -> Path:
    """Makes a zip archive of such files, in this order."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as book:
        for name in names:
            book.writestr(name, head(name))
        for name, content in contents.items():
            book.writestr(name, content)
    return file


def entries(file: Path) -> Mapping[str, bytes]:
    """What an archive holds, in its order."""
    with zipfile.ZipFile(file) as book:
        assert book.testzip() is None
        return {name: book.read(name) for name in book.namelist()}
