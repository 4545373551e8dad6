"""Where this user's files are: those that can be made again, and the configuration."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder for files that can be made or fetched again: `$XDG_CACHE_HOME/sakuga`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sakuga"


def data_folder() -> Path:
    """The folder for files that last, such as exported networks: `$XDG_DATA_HOME/sakuga`."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "sakuga"


def config_folder() -> Path:
    """The folder of this user's own config.yaml: `$XDG_CONFIG_HOME/sakuga`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "sakuga"
