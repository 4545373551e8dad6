"""A user's own networks: rows like those of the registry, kept beside what was exported.

`network.json` in a network's folder of the model repository is its row; the repository writer makes
everything else from it.
"""

import json
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter

from sakuga_core.errors import ConfigError
from sakuga_core.networks.families import CustomUpscaler, Segmenter

FILE = "network.json"
FAMILIES: dict[str, type[CustomUpscaler] | type[Segmenter]] = {
    "upscaler": CustomUpscaler,
    "segmenter": Segmenter,
}

CustomNetwork = CustomUpscaler | Segmenter


def rows(repository: Path) -> list[CustomNetwork]:
    """The custom networks in a repository, sorted by folder.

    Raises:
        ConfigError: a network.json isn't one.
    """
    return [_read(file) for file in sorted(repository.glob(f"*/{FILE}"))]


def text(row: CustomNetwork) -> str:
    """A row as the content of its network.json."""
    family = next(name for name, cls in FAMILIES.items() if isinstance(row, cls))
    return json.dumps({"family": family, **asdict(row)}, indent=2, ensure_ascii=False) + "\n"


def _read(file: Path) -> CustomNetwork:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        family = FAMILIES[values.pop("family")]
        row: CustomNetwork = TypeAdapter(family).validate_python(values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # pydantic's is a ValueError
        first = str(error).splitlines()[0]
        raise ConfigError(f"{file} isn't what `sakuga export` writes: {first}") from error
    if row.folder != file.parent.name:
        raise ConfigError(f"{file} is of {row.name}, whose folder is {row.folder}")
    return row
