"""What a command does with pictures that fail, with a server that tests write themselves."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from made_files import PNG, archive, made
from sakuga import Reply
from sakuga.cli import main
from sakuga_core.errors import BadImage

DONE = Reply(PNG, {"milliseconds": {"total": 1}, "model": "m"})
Server = Callable[[Callable[[bytes], Awaitable[Reply]]], None]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """Has a function answer every request."""

    def serve(answer: Callable[[bytes], Awaitable[Reply]]) -> None:
        class Images:
            async def run(self, data: bytes, *_: object, **__: object) -> Reply:
                return await answer(data)

        @asynccontextmanager
        async def connect(*_: object, **__: object) -> AsyncIterator[Images]:
            yield Images()

        monkeypatch.setattr("sakuga.images.connect", connect)

    return serve


def called(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["--url", "127.0.0.1:9", "upscale", *arguments])


async def faulty(data: bytes) -> Reply:
    """Fails for what doesn't end as the others do."""
    if data.endswith(b"bad"):
        raise NameError("name 'nothing'\nisn't defined")
    return DONE


INTERNAL = "internal error: NameError: name 'nothing' isn't defined"


def test_an_unforeseen_error_fails_its_picture_alone(here: Path, server: Server) -> None:
    made(here, *(f"p/{i}.png" for i in range(8)))
    for i in range(6):  # more than are in flight at a time
        (here / "p" / f"{i}.png").write_bytes(PNG + b"bad")
    server(faulty)
    done = called("p", "-o", "o")
    assert done.exit_code == 1
    first, *lines = done.stderr.splitlines()
    assert first == "Error: 6 of 8 failed:"
    assert sorted(lines) == [f"  p/{i}.png: {INTERNAL}" for i in range(6)]
    assert sorted(os.listdir("o")) == ["6.png", "7.png"]


def test_an_unforeseen_error_of_a_single_picture_is_a_line(here: Path, server: Server) -> None:
    (here / "a.png").write_bytes(PNG + b"bad")
    server(faulty)
    done = called("a.png")
    assert (done.exit_code, done.stderr) == (1, f"Error: a.png: {INTERNAL}\n")
    named = called("a.png", "--json")
    assert json.loads(named.stdout)["error"] == {"type": "NameError", "message": INTERNAL}


def test_an_unforeseen_error_of_a_page_is_named_with_its_archive(
    here: Path, server: Server
) -> None:
    archive(here / "p" / "a.cbz", "1.png", **{"2.png": PNG + b"bad"})
    archive(here / "p" / "b.cbz", "1.png")
    server(faulty)
    done = called("p", "-o", "o")
    assert done.exit_code == 1
    assert done.stderr == (
        f"Error: 1 of 3 failed:\n  p/a.cbz/2.png: {INTERNAL}; so o/a.cbz isn't written\n"
    )
    assert os.listdir("o") == ["b.cbz"]


def test_an_unforeseen_error_of_an_archive_fails_it_alone(
    here: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(here, "p/a.png")
    archive(here / "p" / "a.cbz", "1.png")

    def opened(*_: object) -> None:
        raise NameError("name 'nothing' isn't defined")

    monkeypatch.setattr("sakuga.files.discovery.Archive", opened)
    server(faulty)
    done = called("p", "-o", "o")
    assert done.exit_code == 1
    assert done.stderr == f"Error: 1 of 2 failed:\n  p/a.cbz: {INTERNAL}\n"
    assert os.listdir("o") == ["a.png"]


def test_the_log_has_the_traceback_of_a_failure(
    here: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    (here / "a.png").write_bytes(PNG + b"bad")
    server(faulty)
    caplog.set_level(logging.DEBUG, "sakuga")
    called("a.png")
    assert "in faulty" in caplog.text


def test_good_pages_of_an_archive_that_fails_are_not_named(here: Path, server: Server) -> None:
    pages = {"1.png": PNG + b"1", "2.png": PNG + b"2", "3.png": PNG + b"3"}
    archive(here / "a.cbz", **pages)

    async def answer(data: bytes) -> Reply:
        if data.endswith(b"2"):
            failed.set()
            raise BadImage("damaged")
        await failed.wait()
        return DONE

    failed = asyncio.Event()
    server(answer)
    done = called("a.cbz", "-o", "o")
    assert done.exit_code == 1
    assert (
        done.stderr == "Error: 1 of 3 failed:\n  a.cbz/2.png: damaged; so o/a.cbz isn't written\n"
    )


def test_an_archive_is_named_once_and_each_of_its_bad_pages(here: Path, server: Server) -> None:
    archive(here / "a.cbz", "1.png", "2.png")

    async def answer(data: bytes) -> Reply:
        await both.wait()
        raise BadImage("damaged")

    both = asyncio.Barrier(2)
    server(answer)
    done = called("a.cbz", "-o", "o")
    assert done.stderr.startswith("Error: 2 of 2 failed:\n")
    assert done.stderr.count(": damaged") == 2
    assert done.stderr.count("isn't written") == 1


FULL = """
import asyncio, contextlib, sakuga.images
from sakuga import Reply
from sakuga.cli import main

class Images:
    async def run(self, data, *_, **__):
        return Reply(data * 10**5, {"milliseconds": {"total": 1}, "model": "m"})

@contextlib.asynccontextmanager
async def connect(*_, **__):
    yield Images()

sakuga.images.connect = connect
main()
"""


@pytest.mark.parametrize("output", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_that_is_full_is_named_with_the_picture(here: Path, output: str) -> None:
    made(here, "a.png")
    command = [sys.executable, "-c", FULL, "--url", "127.0.0.1:9", "upscale", "a.png", "-o", output]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.stderr == "Error: a.png: standard output: No space left on device\n"
    assert done.returncode == 1


def test_names_of_standard_output_are_all_one(here: Path) -> None:
    made(here, "a.png")
    command: list[Any] = [sys.executable, "-c", FULL, "--url", "127.0.0.1:9", "upscale", "a.png"]
    for output in ("-", "/dev/stdout", "file:///dev/stdout"):
        with open("r", "wb") as file:
            done = subprocess.run([*command, "-o", output], stdout=file, stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (0, b"")
        assert (here / "r").read_bytes() == PNG * 10**5
