"""What tests of the server share."""

import pytest

from bad_files import MADE
from sakuga_server.imaging import picture


@pytest.fixture
def small_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small pictures have several."""
    monkeypatch.setattr(picture, "STRIP", 1000)


@pytest.fixture(scope="session")
def made() -> dict[str, bytes]:
    """A sound file of every format and variant, by name."""
    return {name: make() for name, make in MADE.items()}
