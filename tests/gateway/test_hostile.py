"""Hostile requests: each gets a problem, and the gateway serves on."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest

import hostile_requests
from gateway_for_tests import Web, events, finished, submitted
from hostile_values import LIMIT, PICTURE
from raw_http import Answer, exchange, form, part, request

PROBLEMS = dict(hostile_requests.http())
BROKEN = dict(hostile_requests.broken())
AT_ONCE = 6
# What would show our insides: a traceback, a path, or a module.
_INSIDES = re.compile(
    rb"Traceback|File \"|/home/|/root/|/tmp/|sakuga_gateway/|site-packages|\.py\b|0x[0-9a-f]{8}"
)


@pytest.fixture(scope="module")
def attacked(triton: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A gateway with small limits and little patience."""
    settings = {"read_timeout": 3, "body_bytes": 2 * LIMIT}
    web = Web(tmp_path_factory.mktemp("hostile"), triton, settings, {"input_bytes": LIMIT})
    web.start()
    yield web
    web.end()


def upscaled(web: Web) -> Answer:
    return exchange(web.port, request("POST /v1/upscale?scale=2", PICTURE))


@pytest.fixture(scope="module")
def before(attacked: Web) -> Answer:
    """What the gateway answers before anybody attacks it."""
    answer = upscaled(attacked)
    assert answer.status == 200
    return answer


@pytest.fixture(scope="module")
def answers(attacked: Web, before: Answer) -> Callable[[str], Answer]:
    """Answers to all hostile requests, which were sent several at once."""
    cases = {**PROBLEMS, **BROKEN}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda data: exchange(attacked.port, data), cases.values())
        return dict(zip(cases, found, strict=True)).__getitem__


@pytest.mark.parametrize("name", PROBLEMS)
def test_it_is_refused_with_a_problem(answers: Callable[[str], Answer], name: str) -> None:
    answer = answers(name)
    assert answer.status, "the connection was closed"
    assert 400 <= answer.status < 500, answer
    assert answer.is_problem, answer
    _check(answer)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_http_is_refused(answers: Callable[[str], Answer], name: str) -> None:
    answer = answers(name)
    assert answer.status is None or 400 <= answer.status < 500, answer
    if answer.status:
        _check(answer)


def _check(answer: Answer) -> None:
    """Its headers are safe, and it tells nothing of our insides and little of anything."""
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not _INSIDES.search(answer.body), answer.body
    assert len(answer.body) < 8192


def test_values_that_no_header_can_have_are_no_error(attacked: Web) -> None:
    """What the caller sends comes back in the report, which is a header."""
    region = {"box": [0, 0, 9, 9], "method": "\x7f\x00\r\nX: yé"}
    query = urlencode({"regions": json.dumps(region), "detector": "none", "inpaint": "none"})
    line = f"POST /v1/fix-artifacts?result=restored&{query}"
    answer = exchange(attacked.port, request(line, PICTURE))
    assert answer.status == 200, answer
    assert "\\u007f" in answer.headers["sakuga-report"]
    assert "x" not in answer.headers


def test_names_of_files_are_only_names(attacked: Web) -> None:
    for name in (b"../../etc/passwd", b"/etc/passwd", b"a\0b.png", b"\xff.png", b"x" * 3000):
        sent = form("POST /v1/upscale?scale=2", part(b"image", PICTURE, name))
        answer = exchange(attacked.port, sent)
        assert answer.status == 200, answer
        shown = answer.headers["content-disposition"]
        names = r"""inline; filename="[\w.-]{1,400}"; filename\*=UTF-8''[\w.%-]{1,400}"""
        assert re.fullmatch(names, shown, re.ASCII)
        assert "etc" not in shown


def test_events_after_the_last_one_end(attacked: Web) -> None:
    with attacked.client() as client:
        location = submitted(client, PICTURE)
        finished(client, location)
        assert list(events(client, location, after=10**17)) == []


@pytest.mark.usefixtures("answers")
def test_it_serves_on(attacked: Web, before: Answer) -> None:
    assert upscaled(attacked).body == before.body
    assert "Traceback" not in attacked.log.text
    assert "ERROR" not in attacked.log.text
