"""Where this user's cached files are."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder for files that can be made or fetched again: `$XDG_CACHE_HOME/sakuga`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sakuga"
