"""How much a caller may do, and how slowly: rates, places, sizes, connections and time limits."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import numpy as np
import pytest

import raw_http
from callers import bearer, key, until
from gateway_for_tests import NewWeb, Web
from pictures import encoded
from raw_http import CLOSED, Answer, answer_on, chunked, connected, exchange, request

POST = "POST /v1/upscale?scale=2"
LIMIT = 2**20
SECONDS = 2  # of patience
PLACES = 3
SIDE = 2000  # of a picture that is more than the operating system keeps for a connection
ALICE = "X-Api-Key: alice"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture(scope="module")
def web(triton: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A gateway with little patience and few places."""
    settings = {
        "keys": [key("alice"), key("busy", rate=3), key("single", in_flight=1)],
        "read_timeout": SECONDS,
        "write_timeout": SECONDS,
        "max_in_flight": PLACES,
        "event_streams": 2,
        "body_bytes": LIMIT,
    }
    web = Web(tmp_path_factory.mktemp("limits"), triton, settings, {"input_bytes": LIMIT})
    web.start()
    yield web
    web.end()


def test_a_key_has_a_rate(web: Web) -> None:
    with web.client(headers=bearer("busy")) as client:
        answers = [client.get("/v1/actions") for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert answers[-1].json()["detail"] == "more than 3 requests a minute"
    with web.client(headers=bearer("alice")) as client:
        assert client.get("/v1/actions").status_code == 200


@contextmanager
def place(web: Web, name: str) -> Iterator[socket.socket]:
    """A request that has a place, and whose body isn't sent yet."""
    with connected(web.port) as connection:
        head = ("Expect: 100-continue", f"X-Api-Key: {name}")
        connection.sendall(request(POST, b"", *head, length=5))
        assert connection.recv(len(CONTINUE)) == CONTINUE
        yield connection
        connection.sendall(b"01234")
        assert answer_on(connection).status == 422


@pytest.mark.parametrize(("name", "places", "status"), [("single", 1, 429), ("alice", PLACES, 503)])
def test_places_are_limited(web: Web, name: str, places: int, status: int) -> None:
    with web.client(headers=bearer(name)) as client:
        with ExitStack() as stack:
            for _ in range(places):
                stack.enter_context(place(web, name))
            answer = client.post("/v1/upscale", content=b"x")
            assert (answer.status_code, answer.json()["error"]) == (status, "Overloaded")
            assert int(answer.headers["retry-after"]) > 0
            assert client.get("/v1/actions").status_code == 200
        assert client.post("/v1/upscale", content=b"x").status_code == 422


def test_streams_of_events_are_limited(web: Web) -> None:
    picture = encoded(np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8))
    with web.client(headers=bearer("alice")) as client, ExitStack() as stack:
        job = client.post("/v1/jobs?action=upscale", content=picture).json()["id"]
        url = f"/v1/jobs/{job}/events"
        for _ in range(2):
            assert stack.enter_context(client.stream("GET", url)).status_code == 200
        refused = client.get(url)
        assert (refused.status_code, refused.json()["error"]) == (429, "Overloaded")
        stack.close()
        until(lambda: client.get(url).status_code == 200)  # also once the job has ended


def test_connections_are_limited(new_web: NewWeb) -> None:
    web = new_web(settings={"connections": 2})
    with ExitStack() as stack:
        first, second = [stack.enter_context(connected(web.port)) for _ in range(2)]
        assert _asked(first).status == _asked(second).status == 200
        with connected(web.port) as third:
            answer = _asked(third)
            assert (answer.status, answer.is_problem) == (503, True)
            assert int(answer.headers["retry-after"]) > 0
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert third.recv(1) == b""
        assert _asked(first).status == 200
    until(lambda: exchange(web.port, request("GET /healthz")).status == 200)


def _asked(connection: socket.socket) -> Answer:
    connection.sendall(request("GET /healthz"))
    return answer_on(connection)


def test_a_body_has_a_size(web: Web) -> None:
    for size, more in ((LIMIT * 3, ("Expect: 100-continue",)), (10**12, ())):
        answer = exchange(web.port, request(POST, b"", ALICE, *more, length=size))
        assert (answer.status, answer.is_problem) == (413, True)
    parts = chunked(*[bytes(64 * 1024)] * 40)
    head = (ALICE, "Transfer-Encoding: chunked")
    assert exchange(web.port, request(POST, parts, *head, length=None)).status == 413
    # without an end, so that the refusal can't have waited for it
    with connected(web.port) as connection:
        connection.sendall(request(POST, parts[: LIMIT * 9 // 4], *head, length=None))
        assert answer_on(connection).status == 413


# Slow callers. Each of these waits for what the gateway does, not for a time.


def trickled(connection: socket.socket, data: bytes) -> Answer:
    """What comes back while somebody sends a byte now and then, and the connection's end."""
    connection.settimeout(SECONDS / 20)
    found, end = b"", time.monotonic() + raw_http.SECONDS
    while time.monotonic() < end:
        try:
            if not (part := connection.recv(65536)):
                return _read(found)
            found += part
        except TimeoutError:
            with suppress(ConnectionError):
                connection.sendall(data)
        except ConnectionError:
            return _read(found)
    raise AssertionError("the connection is still open")


def _read(data: bytes) -> Answer:
    if not data:
        return CLOSED
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        return answer_on(theirs)


def test_a_connection_that_says_nothing_is_closed(web: Web) -> None:
    with connected(web.port) as connection:
        assert connection.recv(1) == b""


def test_a_slow_head_is_cut(web: Web) -> None:
    with connected(web.port) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        answer = trickled(connection, b"X")
    assert (answer.status, answer.is_problem) == (408, True)


def test_a_slow_second_head_is_cut(web: Web) -> None:
    with connected(web.port) as connection:
        connection.sendall(request("GET /healthz"))
        assert answer_on(connection).status == 200
        connection.sendall(b"GET /")
        assert trickled(connection, b"a").status == 408


def test_empty_lines_dont_keep_a_connection_open(web: Web) -> None:
    with connected(web.port) as connection:
        connection.sendall(request("GET /healthz"))
        assert answer_on(connection).status == 200
        assert trickled(connection, b"\r\n") == CLOSED


def test_a_body_that_stops_is_cut(web: Web) -> None:
    for head in (request(POST, b"abc", ALICE, length=99), FORM_HEAD):
        answer = exchange(web.port, head)
        assert (answer.status, answer.is_problem) == (408, True)
        assert answer.headers["connection"] == "close"


FORM_HEAD = request(
    POST, b"--b\r\n", ALICE, kind="multipart/form-data; boundary=b", length=LIMIT // 2
)


def test_a_body_that_trickles_is_cut(web: Web) -> None:
    for head, more in (
        (request(POST, b"", ALICE, length=LIMIT), b"x"),
        (request(POST, b"", ALICE, "Transfer-Encoding: chunked", length=None), b"1\r\nx\r\n"),
    ):
        with connected(web.port) as connection:
            connection.sendall(head)
            answer = trickled(connection, more)
        assert (answer.status, answer.is_problem) == (408, True)


def test_the_rest_of_a_refused_body_is_cut(web: Web) -> None:
    with connected(web.port) as connection:
        connection.sendall(request(POST, b"", "X-Api-Key: wrong", length=LIMIT))
        assert answer_on(connection).status == 401
        assert trickled(connection, b"x") == CLOSED


def test_a_connection_serves_on_after_a_refused_body(web: Web) -> None:
    """Its rest is no request."""
    inner = request("GET /metrics") * 3
    with connected(web.port) as connection:
        connection.sendall(request(POST, b"", "X-Api-Key: wrong", length=len(inner)))
        assert answer_on(connection).status == 401
        connection.sendall(inner + request("GET /healthz"))
        assert answer_on(connection).body == b'{"status":"ok"}'


def test_a_slow_reader_is_cut(web: Web) -> None:
    picture = encoded(np.zeros((SIDE, SIDE, 3), np.uint8))
    with socket.socket() as connection, web.client() as client:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**17)
        connection.settimeout(raw_http.SECONDS)
        connection.connect(("127.0.0.1", web.port))
        line = "POST /v1/fix-artifacts?result=restored&detector=none&format=bmp"
        connection.sendall(request(line, picture, ALICE, kind="image/png"))
        start = connection.recv(64)
        assert start.startswith(b"HTTP/1.1 200")
        until(lambda: 'route="/v1/fix-artifacts"' in client.get("/metrics").text)  # it has ended
        size = len(start)
        with suppress(ConnectionError):
            while part := connection.recv(2**20):
                size += len(part)
        assert size < SIDE * SIDE * 3


def test_others_are_served_while_somebody_sends_much(web: Web) -> None:
    """Neither is the event loop blocked by a form that is slow to parse."""
    near = (b"\r\n--" + b"b" * 69) * (LIMIT // 80)
    slow = request(
        POST, near, ALICE, kind="multipart/form-data; boundary=" + "b" * 70, length=LIMIT
    )
    with connected(web.port) as connection, web.client() as client:
        connection.sendall(slow)
        times = []
        for _ in range(20):
            start = time.perf_counter()
            assert client.get("/healthz").status_code == 200
            times.append(time.perf_counter() - start)
        assert answer_on(connection).status in (400, 408)
    assert max(times) < SECONDS


def test_it_serves_on(web: Web, picture: bytes) -> None:
    with web.client(headers=bearer("alice")) as client:
        assert client.post("/v1/upscale?scale=2", content=picture).status_code == 200
    assert "Traceback" not in web.log.text
