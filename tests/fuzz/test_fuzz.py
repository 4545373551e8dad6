"""Each fuzzed parser, briefly, and with the same inputs each time; `make fuzz` takes longer."""

import importlib.util
from pathlib import Path

import pytest

import fuzzing

FOLDER = Path(__file__).parent
NAMES = sorted(each.stem for each in FOLDER.glob("fuzz_*.py"))
COUNT = 300


def target(name: str) -> fuzzing.Target:
    """The target of a module beside this one, as which it can also be run."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: fuzzing.Target = module.TARGET
    return found


@pytest.mark.parametrize("name", NAMES)
def test_what_is_changed_at_random_is_read_or_refused(name: str) -> None:
    assert fuzzing.faults(target(name), COUNT) == []
