"""Parameters of tests that `make test-full` takes, and `make test` doesn't."""

from collections.abc import Container, Iterable, Iterator
from typing import Any

import pytest


def full(*values: Any) -> Any:
    """A parameter that takes long, and whose kind others stand for in every run."""
    return pytest.param(*values, marks=pytest.mark.full)


def some(values: Iterable[Any], in_every_run: Container[Any]) -> Iterator[Any]:
    """Parameters, of which so many are enough for every run."""
    for each in values:
        yield each if each in in_every_run else full(each)
