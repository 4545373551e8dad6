"""What several of these files need."""

from pathlib import Path

import pytest

import tools


@pytest.fixture(scope="session")
def helm() -> Path:
    return tools.needed("helm")
