"""Logs as text and JSON, and the ids of requests."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga_core import logs
from sakuga_core.logs import LogFormat, current_id, known_id, request_id

log = logging.getLogger("sakuga.test")


@pytest.fixture(autouse=True)
def unchanged() -> Iterator[None]:
    """What `set_up` changes of the whole process is put back."""
    root, own = logging.getLogger(), logging.getLogger("sakuga")
    before = root.handlers[:], root.level, own.level
    yield
    root.handlers[:], root.level, own.level = before
    logging.captureWarnings(False)


def written(format: LogFormat, **fields: str) -> io.StringIO:
    stream = io.StringIO()
    logs.set_up(format, stream, **fields)
    return stream


def objects(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_in_json_is_one_object_whatever_it_says() -> None:
    stream = written("json", model="upscale")
    with request_id("a1"):
        log.warning("%s\n“%s”", 'a "quote"', "ö", extra={"seconds": 1.5, "level": "own"})
    (line,) = objects(stream)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "WARNING",
        "logger": "sakuga.test",
        "message": 'a "quote"\n“ö”',
        "request": "a1",
        "model": "upscale",
        "seconds": 1.5,
    }


def test_tracebacks_are_in_the_object() -> None:
    stream = written("json")
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("failed")
    (line,) = objects(stream)
    assert line["error"].startswith("Traceback")
    assert line["error"].endswith("ValueError: no")
    assert "request" not in line


def test_time_is_that_of_the_record() -> None:
    before = datetime.now(UTC)
    stream = written("json")
    log.error("now")
    (line,) = objects(stream)
    # Milliseconds, so the moment may lie up to one before.
    assert abs((datetime.fromisoformat(line["time"]) - before).total_seconds()) < 60


def test_text_has_the_id_at_the_end_of_its_first_line_and_no_line_for_each_request() -> None:
    stream = written("text")
    with request_id("a1"):
        log.info("a picture was answered")
        try:
            raise ValueError("no")
        except ValueError:
            log.exception("failed")
    log.warning("later")
    lines = stream.getvalue().splitlines()
    assert (lines[0], lines[1]) == (
        "ERROR: failed (request a1)",
        "Traceback (most recent call last):",
    )
    assert lines[-1] == "WARNING: later"


@given(st.text())
def test_any_text_gives_an_id_that_a_header_and_a_log_take(text: str) -> None:
    known = known_id(text)
    assert 1 <= len(known) <= 64
    assert known.isascii()
    assert not set(known) & set(' \r\n"\\(){},;%')
    assert known_id(known) == known


async def test_ids_belong_to_their_tasks_and_end_with_the_block() -> None:
    async def inner(text: str) -> tuple[str, str]:
        with request_id(text):
            await asyncio.sleep(0)
            return current_id(), await asyncio.to_thread(current_id)

    assert await asyncio.gather(*map(inner, "abc")) == [(each, each) for each in "abc"]
    assert current_id() == ""
    with request_id() as first, request_id(current_id()) as second:
        assert first == second  # which goes on
