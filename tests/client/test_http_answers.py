"""What comes from a gateway, and what goes there, as the client reads and writes it."""

import tracemalloc
from collections.abc import AsyncIterator

import pytest

from sakuga import (
    DeadlineExceeded,
    Overloaded,
    PermissionDenied,
    ServerError,
    ServerUnavailable,
    TooLarge,
)
from sakuga.answers import PARTS, Parts, error_of, events
from sakuga.sending import LONGEST_QUERY, Picture
from sakuga_core.actions import ACTIONS, ImageAction
from sakuga_core.errors import SakugaError
from written_gateway import UPSCALE, URL, parts


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b"", PermissionDenied),
        (403, b"<html>", PermissionDenied),
        (413, b"", TooLarge),
        (429, b"[]", Overloaded),
        (502, b"", ServerUnavailable),
        (503, b"Service Unavailable", ServerUnavailable),
        (504, b"", DeadlineExceeded),
        (500, b'{"error": "SystemExit", "detail": "x"}', ServerError),
        (500, b'{"error": "from_message", "detail": "x"}', ServerError),
        (599, b"", ServerError),
    ],
)
def test_answers_of_what_stands_before_a_gateway_are_errors_by_their_status(
    status: int, body: bytes, kind: type[SakugaError]
) -> None:
    error = error_of(status, body, URL)
    assert type(error) is kind
    assert str(error).startswith(f"{URL} answered {status}")


def test_a_result_in_parts_is_read_however_it_comes() -> None:
    result = b"\r\n--b\r\n--b--\r\n\r\n" * 3
    body = parts(result, {"note": "--b \r\n"})
    for size in (1, 3, len(body)):
        found = Parts(f'{PARTS}; boundary="b"', URL)
        for start in range(0, len(body), size):
            found.add(body[start : start + size])
        assert found.reply() == (result, {"note": "--b \r\n"})


def test_a_large_result_is_in_memory_once() -> None:
    size = 40 * 2**20
    body = parts(bytes(size), {"model": "m"})
    view = memoryview(body)
    tracemalloc.start()
    try:
        found = Parts(f"{PARTS}; boundary=b", URL)
        for start in range(0, len(body), 2**16):
            found.add(bytes(view[start : start + 2**16]))
        reply = found.reply()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(reply.result) == size
    assert peak < 1.3 * size


async def test_events_are_read_as_the_standard_says() -> None:
    async def lines() -> AsyncIterator[str]:
        for line in (":ping", "", "event:a", 'data: {"b": 1}', "id: 3", "", "event: lost"):
            yield line

    assert [each async for each in events(lines())] == [("a", {"b": 1}, "3")]


async def test_long_options_and_masks_go_into_a_form() -> None:
    fix = ACTIONS[ImageAction.FIX_ARTIFACTS]
    short = Picture(UPSCALE, b"picture", {"scale": 2}).request({}, {})
    assert short["params"] == {"options": '{"scale": 2}'}
    long = {"regions": [[1, 2, 3, 4]] * LONGEST_QUERY}
    assert "params" not in Picture(fix, b"picture", long).request({}, {})
    masked = Picture(fix, b"picture", {"mask": "bWFzaw==", "scale": 1}).request({"action": "a"}, {})
    assert masked["files"]["mask"][1] == b"mask"
    assert masked["data"] == {"action": "a", "options": '{"scale": 1}'}
