"""SECURITY.md: each test that it names exists."""

import re

from networks_for_tests import PROJECT

TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_each_promise_has_a_test() -> None:
    text = (PROJECT / "SECURITY.md").read_text()
    named = TEST.findall(text)
    promises = text.split("## What is promised")[1].split("\n## ")[0].count("\n| ") - 1
    assert promises > 10
    assert len(named) >= promises
    for file, name in named:
        assert f"def {name}(" in (PROJECT / file).read_text(), name
