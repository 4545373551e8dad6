"""What C libraries write to standard error becomes lines of the log, with their request."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sakuga_core.logs import LOG_FORMAT
from sakuga_server import stderr

PROGRAM = """
import ctypes, os, sys
from sakuga_core.logs import request_id
from sakuga_server.stderr import Captured

libc = ctypes.CDLL(None)
captured = Captured.of_model("upscale")
libc.write(2, b"loaded\\n", 7)
captured.log()
with request_id("a1"):
    libc.write(2, b"one\\n\\ntwo", 8)
    print("three", file=sys.stderr)
    captured.log()
captured.log()
libc.write(2, b"its last words\\n", 15)
libc.abort()
"""


def ended(folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_lines_are_logged_once_each_with_the_request_that_was_answered(tmp_path: Path) -> None:
    done = ended(tmp_path, **{stderr.FOLDER: str(tmp_path), LOG_FORMAT: "json"})
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["message"], line.get("request")) for line in lines] == [
        ("loaded", None),
        ("one", "a1"),
        ("twothree", "a1"),
    ]
    assert {(line["level"], line["model"]) for line in lines} == {("WARNING", "upscale")}


def test_what_a_process_wrote_last_outlives_it(tmp_path: Path) -> None:
    ended(tmp_path, **{stderr.FOLDER: str(tmp_path)})
    (file,) = tmp_path.iterdir()
    assert stderr.last_lines(tmp_path, int(file.name)) == ["its last words"]
    assert stderr.last_lines(tmp_path, int(file.name)) == []  # it is told once


def test_without_a_folder_standard_error_stays_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(stderr.FOLDER, raising=False)
    done = ended(tmp_path)
    assert done.stderr.splitlines() == ["loaded", "one", "", "twothree", "its last words"]
