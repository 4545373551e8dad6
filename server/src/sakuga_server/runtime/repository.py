"""The runtime repository: what Triton serves, in the user's cache.

Configuration is written from config.yaml; exported networks are links to those of the model
repository, which may be read-only, and stays as it is.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path

from sakuga_core.config.schema import Config
from sakuga_core.networks.custom import FILE
from sakuga_core.repository import writer
from sakuga_server.runtime import precision

WRITTEN = ("config.pbtxt", "model.py")  # which the writer makes
SOURCE = "source"  # beside a runtime repository: a link to the model repository


def bring_up(repository: Path, config: Config) -> None:
    """Brings a runtime repository up to config.yaml and to the exported networks.

    Raises:
        ConfigError: a custom network isn't described as it should be, or config.yaml asks for
            a precision that there isn't.
        OSError: nobody can write there.
    """
    precision.check(config)
    repository.mkdir(parents=True, exist_ok=True)
    for folder in writer.engine_folders(config):
        folder.mkdir(parents=True, exist_ok=True)
    _link(repository.with_name(SOURCE), config.server.repository.resolve())
    exported = set(exports(config.server.repository))
    for link in [each for each in _links(repository) if each not in exported]:
        (repository / link).unlink()
        _remove_unless_written(repository, link.parts[0], exported)
    for path in exported:
        _link(repository / path, (config.server.repository / path).resolve())
    writer.write(repository, config)


def take_over(file: Path) -> bool:
    """Brings in a network that was exported a moment ago, before the server looks for changes.

    Args:
        file: where it has to be in the runtime repository.

    Returns:
        Whether it is there now.
    """
    repository = file.parents[2]
    source = repository.with_name(SOURCE) / file.relative_to(repository)
    for each in source.parent.glob("[!.]*") if source.exists() else ():
        if each.name not in WRITTEN:
            _link(file.with_name(each.name), each.resolve())
    return file.exists()


def _link(link: Path, target: Path) -> None:
    """Makes a symbolic link, or turns it to another target."""
    if link.is_symlink() and link.readlink() == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    beside = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    beside.symlink_to(target)
    beside.replace(link)


def exports(source: Path) -> Iterator[Path]:
    """The files of exported networks in a model repository, relative to it."""
    for pattern in (f"*/{FILE}", "*/1/*"):
        for file in source.glob(pattern):
            if file.name not in WRITTEN and not file.name.startswith(".") and file.is_file():
                yield file.relative_to(source)


def _links(repository: Path) -> list[Path]:
    found = (*repository.glob("*/*"), *repository.glob("*/1/*"))
    return [file.relative_to(repository) for file in found if file.is_symlink()]


def _remove_unless_written(repository: Path, model: str, exported: set[Path]) -> None:
    """Removes the configuration of a custom network that is gone, and of its ensemble."""
    if any(path.parts[0] == model for path in exported):
        return
    for folder in (repository / model, repository / f"rembg_{model}"):
        (folder / "config.pbtxt").unlink(missing_ok=True)
        for empty in (folder / "1", folder):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()
