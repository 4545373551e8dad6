"""Callers of a gateway with keys. The key of each is its name."""

import time
from collections.abc import Callable, Iterator

from raw_http import SECONDS
from sakuga_gateway.access import digest


def key(name: str, **limits: int) -> dict[str, object]:
    """A key as config.yaml has it."""
    return {"name": name, "sha256": digest(name), **limits}


def bearer(name: str) -> dict[str, str]:
    """The headers of a caller."""
    return {"authorization": f"Bearer {name}"}


def until(condition: Callable[[], bool]) -> None:
    """Asks until a condition is met."""
    assert any(met for met in _asked(condition))


def _asked(condition: Callable[[], bool]) -> Iterator[bool]:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        yield condition()
