"""A real Chromium for the tests of the page: Debian's, or npm's where there is no root."""

import os
import shutil
from pathlib import Path

MISSING = "Chromium isn't installed: apt-get install chromium, or set SAKUGA_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome")


def path() -> str | None:
    """Where it is: where SAKUGA_CHROMIUM says, else on the path."""
    named = os.environ.get("SAKUGA_CHROMIUM")
    if named and Path(named).exists():
        return named
    return next((found for name in NAMES if (found := shutil.which(name))), None)
