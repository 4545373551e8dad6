"""config.yaml: its schema, the file, where each setting comes from, and the live view of it.

Its modules are imported as they are needed: Triton's processes read a block, and no file.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sakuga_core.config.file import load_config, refresh
    from sakuga_core.config.schema import Config, json_schema
    from sakuga_core.config.server import Limits, Server

__all__ = ["Config", "Limits", "Server", "json_schema", "load_config", "refresh"]

_MODULES = {
    **dict.fromkeys(("Config", "json_schema"), "schema"),
    **dict.fromkeys(("Limits", "Server"), "server"),
    **dict.fromkeys(("load_config", "refresh"), "file"),
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
