"""config.yaml: its schema, the file, where each setting comes from, and the live view of it."""

from sakuga_core.config.file import load_config, refresh
from sakuga_core.config.schema import Config, json_schema
from sakuga_core.config.server import Limits, Server

__all__ = ["Config", "Limits", "Server", "json_schema", "load_config", "refresh"]
