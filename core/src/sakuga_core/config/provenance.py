"""Every setting in effect, and where it comes from: a flag, the environment, a line, a default."""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from sakuga_core.actions import ACTIONS
from sakuga_core.config.block import Block
from sakuga_core.config.file import JOBS, URL
from sakuga_core.config.schema import Config

DEFAULT = "default"

# Settings of the families' blocks that aren't options of a request.
FAMILY_SETTINGS = ("realesrgan.gpu_id", "aurasr.backend", "aurasr.style")


class Setting(NamedTuple):
    """A value, and where it comes from."""

    path: str
    value: Any
    origin: str


def settings(config: Config) -> Iterator[Setting]:
    """Every setting in effect: the options of each action, those of its family included, then
    the settings of the server, the limits and the gateway."""
    for action, row in ACTIONS.items():
        effective, block = config.options_for(action), config.block(action)
        for name, value in (block.model_dump(mode="json") | effective).items():
            by_model = row.family(str(effective["model"]))
            family = row.default_family if name == "model" else by_model
            chain = [(f"providers.image.{action.value}", block)]
            chain += [(family, getattr(config, family))] if family else []
            origins = [_set_by(config, f"{path}.{name}", of) for path, of in chain]
            origin = next((each for each in origins if each), DEFAULT)
            yield Setting(f"providers.image.{action.value}.{name}", value, origin)
    for path, block, name in config.fields():
        if path.split(".")[0] in ("server", "limits", "gateway") or path in FAMILY_SETTINGS:
            value = block.model_dump(mode="json")[name]
            yield Setting(path, value, _set_by(config, path, block) or DEFAULT)


def _set_by(config: Config, path: str, block: Block) -> str | None:
    """Where a value was set; None if it wasn't."""
    name = path.rpartition(".")[2]
    if block.assigned(name):
        return "flag"
    variable = {"server.url": URL, "gateway.jobs": JOBS}.get(path)
    if variable and os.environ.get(variable):
        return f"environment, {variable}"
    if name not in block.model_fields_set or config.source is None:
        return None
    return config.source.place(path)
