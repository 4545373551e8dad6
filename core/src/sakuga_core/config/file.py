"""Reading config.yaml, and reading it again when it has changed.

Priority of a setting: flag or argument > environment > config.yaml > default. The environment has
SAKUGA_CONFIG (which file), SAKUGA_URL (which server) and SAKUGA_JOBS (which store); the key of a
server's administration, which belongs into no file, is read where it is needed.
"""

import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from sakuga_core.config.block import Source
from sakuga_core.config.schema import Config
from sakuga_core.errors import ConfigError
from sakuga_core.options import explain
from sakuga_core.paths import config_folder, data_folder

DEFAULT_FILE = "config.yaml"

# Of the environment; their values win over the file's.
URL, JOBS = "SAKUGA_URL", "SAKUGA_JOBS"

# A younger file may still be being written; it is read at the next look.
STABLE_SECONDS = 0.1
GONE_SECONDS = 2.0  # in which an editor has put a new file in place

# More than any configuration; aliases of aliases make a few lines billions.
MOST_NODES = 100_000
# What PyYAML raises: its own errors, and those of dates, numbers and keys that are none.
_NOT_YAML = (yaml.YAMLError, RecursionError, ValueError, TypeError, LookupError, AttributeError)

log = logging.getLogger("sakuga")


def load_config(path: str | Path | None = None) -> Config:
    """The configuration from `path`, else from $SAKUGA_CONFIG, else from ./config.yaml, else from
    the user's own config.yaml (`~/.config/sakuga/config.yaml`).

    Without any of them all settings have their defaults. $SAKUGA_URL replaces `server.url`, and
    $SAKUGA_JOBS `gateway.jobs`.

    Args:
        path: of the file; Python code that it names may be imported.

    Returns:
        The configuration, whose relative paths are absolute.

    Raises:
        ConfigError: the file is missing, isn't YAML, or holds a key or value that isn't allowed.
    """
    named, users = path or os.environ.get("SAKUGA_CONFIG"), config_folder() / DEFAULT_FILE
    file = Path(named) if named else next(filter(Path.exists, (Path(DEFAULT_FILE), users)), None)
    if file is None:
        return _resolved(Config(), Path(DEFAULT_FILE))
    config = _read(file)
    assert config.source is not None
    config.source.trusted = bool(named) or file.resolve().parent == users.parent.resolve()
    return _resolved(config, file)


def refresh(config: Config, problems: Callable[[Config], Iterable[str]] | None = None) -> bool:
    """Updates a configuration from its file, if that changed; assigned values stay.

    An invalid file changes nothing; the reason is logged.

    Args:
        problems: says what else is wrong with a configuration, if anything; see
            `sakuga_core.repository.checks`.

    Returns:
        Whether the file was read again.
    """
    source = config.source
    if source is None:
        return False
    stamp = _stamp(source.file)
    _say_if_gone(source, stamp)
    if stamp in (None, source.stamp) or not is_stable(stamp[0]):
        return False
    source.stamp = stamp
    try:
        new = _resolved(_read(source.file), source.file)
        if found := list(problems(new) if problems else ()):
            raise ConfigError("\n".join(found))
    except ConfigError as error:
        log.warning("%s\nNothing was changed.", error)
        return False
    assert new.source is not None
    source.lines = new.source.lines
    config.take_over(new)
    return True


def _say_if_gone(source: Source, stamp: tuple[int, ...] | None) -> None:
    """Warns once of a file that doesn't come back; editors replace files, so not at once."""
    now = time.monotonic()
    if stamp is not None:
        source.gone_since = None
    elif source.gone_since is None:
        source.gone_since = now
    elif now - source.gone_since > GONE_SECONDS:
        log.warning("%s: is gone; what it said stays in effect", source.file)
        source.gone_since = math.inf


def is_stable(changed: int) -> bool:
    """Whether a file with this modification time, in nanoseconds, is no longer being written."""
    # A time in the future comes from another machine's clock, and means nothing.
    return not 0 <= time.time_ns() - changed < STABLE_SECONDS * 1e9


def _stamp(file: Path) -> tuple[int, ...] | None:
    try:
        state = file.stat()
    except OSError:  # gone for the moment: editors replace files
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino


def _resolved(config: Config, file: Path) -> Config:
    """The configuration with absolute paths, and with the environment's settings."""
    folder, tls = file.resolve().parent, config.server.tls
    config.server.set_default("repository", _repository(config, folder))
    for name in ("ca", "certificate", "key"):
        path = getattr(tls, name)
        if path and not (name == "ca" and tls.of_system):
            tls.set_default(name, folder / path)
    if config.server.engine_cache:
        config.server.set_default("engine_cache", folder / config.server.engine_cache)
    for name, block, field in ((URL, config.server, "url"), (JOBS, config.gateway, "jobs")):
        if value := os.environ.get(name):
            block.set_default(field, value)
    return config


def _repository(config: Config, folder: Path) -> Path:
    """The repository that the file names, else the one beside it, else the user's."""
    beside = folder / config.server.repository
    if "repository" in config.server.model_fields_set or beside.exists():
        return beside
    return data_folder() / beside.name


def _read(file: Path) -> Config:
    stamp = _stamp(file) or (0, 0, 0)
    values, lines = _parsed(file)
    source = Source(file, lines, stamp)
    try:
        config = Config.model_validate(values or {})
    except ValidationError as error:
        problems = [_explained(source, e) for e in error.errors()]
        raise ConfigError("\n".join(problems)) from None
    config.source = source
    return config


def _parsed(file: Path) -> tuple[Any, dict[str, int]]:
    """What a file says, and each path of it with its line.

    Raises:
        ConfigError: it can't be read, isn't YAML, or says too much.
    """
    try:
        loader = yaml.SafeLoader(file.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        if node is None:
            return None, {}
        _check_size(file, node)
        return loader.construct_document(node), dict(_lines(file, node))
    except OSError as error:
        raise ConfigError(f"{file}: can't be read ({error.strerror})") from error
    except _NOT_YAML as error:
        raise ConfigError(f"{file}: isn't YAML: {error}") from error


def _check_size(file: Path, node: yaml.Node) -> None:
    """
    Raises:
        ConfigError: with its aliases written out, the file has more than MOST_NODES keys and
            values, or no end of them.
    """
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = MOST_NODES + 1  # of one that is a part of itself
            sizes[id(node)] = 1 + sum(map(size, _below(node)))
        return sizes[id(node)]

    if size(node) > MOST_NODES:
        raise ConfigError(
            f"{file}: has more than {MOST_NODES} keys and values, with its aliases written out"
        )


def _below(node: yaml.Node) -> list[yaml.Node]:
    """The nodes of which a mapping or a list consists."""
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _lines(file: Path, node: yaml.Node, path: str = "") -> Iterator[tuple[str, int]]:
    """Each path of the file with its line.

    Raises:
        ConfigError: a key occurs twice, of which YAML would silently take the last.
    """
    seen = set()
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        line, name = key.start_mark.line + 1, f"{path}{key.value}"
        if name in seen:
            raise ConfigError(f"{file}, line {line}: {name!r} occurs twice; allowed: once")
        seen.add(name)
        yield name, line
        yield from _lines(file, value, f"{name}.")


def _explained(source: Source, error: Any) -> str:
    path = ".".join(map(str, error["loc"]))
    return explain(_block(error["loc"]), error, f"{source.place(path)}: ")


def _block(location: tuple[int | str, ...]) -> type[BaseModel]:
    """The class of the block that the last name of `location` lies in."""
    kind: type[BaseModel] = Config
    for name in location[:-1]:
        field = kind.model_fields.get(str(name))
        if field and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            kind = field.annotation
    return kind
