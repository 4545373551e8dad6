"""Who may call, and from where: keys, hosts, origins, and what one caller sees of another."""

import base64
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from callers import bearer, key, until
from gateway_for_tests import NewWeb, Web, submitted
from raw_http import answer_on, connected, exchange, request
from sakuga_gateway.access import digest
from sakuga_gateway.middleware import Outermost
from serving_for_tests import SAKUGA

PAGE = "https://page.example"
KEYS = ("alice", "bob")
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, idempotency-key",
}


@pytest.fixture(scope="module")
def guarded(triton: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A gateway with keys, which pages of one other site may call."""
    settings = {"keys": [key(name) for name in KEYS], "origins": [PAGE]}
    web = Web(tmp_path_factory.mktemp("guarded"), triton, settings)
    web.start()
    with web.client() as client:
        yield client
    web.end()


def port_of(client: httpx.Client) -> int:
    assert client.base_url.port
    return client.base_url.port


def status_of(client: httpx.Client, name: str) -> int:
    return client.get("/v1/actions", headers=bearer(name)).status_code


# Keys


def test_other_machines_need_a_key(triton: str, tmp_path: Path) -> None:
    Web(tmp_path, triton, {"host": "0.0.0.0"}).write()
    refused = subprocess.run([SAKUGA, "web"], cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "'0.0.0.0', which other machines can reach" in refused.stderr


def test_edits_of_keys_are_followed_and_never_open_the_gateway(new_web: NewWeb) -> None:
    made = subprocess.run(
        [SAKUGA, "web", "--new-key", "ci"], check=True, capture_output=True, text=True
    ).stdout
    secret, row = re.findall(r": ([\w-]{43})\n.*: - (\{.*\})", made)[0]
    assert secret not in row
    web = new_web(settings={"host": "0.0.0.0", "keys": [key("alice")]})
    with web.client() as client:
        assert [status_of(client, each) for each in ("alice", secret)] == [200, 401]
        for keys, statuses in (([yaml.safe_load(row)], [401, 200]), ([], [401, 401])):
            web.settings["keys"] = keys
            web.write()
            until(lambda: [status_of(client, each) for each in ("alice", secret)] == statuses)  # noqa: B023
        assert client.get("/v1/actions").status_code == 401


def test_what_needs_a_restart_is_said_and_stays(new_web: NewWeb) -> None:
    web = new_web()
    with web.client() as client:
        web.settings |= {"port": web.port + 1, "log_format": "json", "origins": ["*"]}
        web.write()
        until(lambda: client.options("/v1/upscale", headers=PREFLIGHT).status_code == 200)
    for name in ("port", "log_format"):
        assert f"gateway.{name} takes effect when the gateway is started again" in web.log.text
    assert "gateway.origins takes" not in web.log.text


def test_without_keys_names_and_origins_are_checked(new_web: NewWeb) -> None:
    web = new_web(settings={"host": "0.0.0.0", "hosts": ["a.example"]}, flags=("--no-auth",))
    with web.client() as client:
        for host, status in (("127.0.0.1", 200), ("a.example:8080", 200), ("b.example", 403)):
            assert client.get("/v1/actions", headers={"host": host}).status_code == status
        assert client.options("/v1/upscale", headers=PREFLIGHT).status_code == 405
        web.settings["origins"] = ["*"]
        web.write()
        until(lambda: client.options("/v1/upscale", headers=PREFLIGHT).status_code == 200)


@pytest.mark.parametrize(
    "headers",
    [
        bearer("alice"),
        {"authorization": "bearer  alice"},
        {"authorization": "Token alice"},
        {"x-api-key": "alice"},
        {"authorization": "Basic " + base64.b64encode(b"anyone:alice").decode()},
    ],
)
def test_a_key_comes_in_several_ways(guarded: httpx.Client, headers: dict[str, str]) -> None:
    assert guarded.get("/v1/actions", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": ""},
        {"x-api-key": "mallory"},
        {"x-api-key": digest("alice")},
        bearer("Alice"),
        {"authorization": "Digest alice"},
        {"authorization": "Basic alice"},
        {"authorization": "Basic " + base64.b64encode(b"alice:").decode()},
        {"authorization": b"Basic \xff\xfe"},
    ],
)
def test_others_are_refused(guarded: httpx.Client, headers: dict[str, str]) -> None:
    answer = guarded.get("/v1/jobs/" + "0" * 36, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "PermissionDenied")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_body_is_refused_before_it_is_read(guarded: httpx.Client) -> None:
    """The answer comes without a byte of the body; none is asked for, and little is taken."""
    port = port_of(guarded)
    large = request("POST /v1/upscale", b"", "Expect: 100-continue", length=10**8)
    answer = exchange(port, large)
    assert answer.status == 401
    with connected(port) as connection:
        connection.sendall(large)
        assert answer_on(connection).status == 401
        with pytest.raises(ConnectionError):  # noqa: PT012
            while True:
                connection.sendall(b"x")


def test_jobs_of_one_key_are_hidden_from_another(guarded: httpx.Client, picture: bytes) -> None:
    with httpx.Client(base_url=guarded.base_url, headers=bearer("alice")) as alice:
        location = submitted(alice, picture, key="same")
        assert submitted(alice, picture, key="same") == location
    with httpx.Client(base_url=guarded.base_url, headers=bearer("bob")) as bob:
        for path in ("", "/events", "/result", "/pictures/0"):
            assert bob.get(location + path).status_code == 404
        assert bob.delete(location).status_code == 404
        assert submitted(bob, picture, key="same") != location
    assert guarded.get(location, headers=bearer("alice")).status_code == 200


# Browsers


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site", "origin": "http://evil.example"},
        {"host": "evil.example"},
        {"host": "evil.example", "origin": "http://evil.example"},
        {"host": "localhost.evil.example"},
        {"host": "127.0.0.1.evil.example:80"},
    ],
)
def test_pages_of_other_sites_are_refused(
    http: httpx.Client, picture: bytes, headers: dict[str, str]
) -> None:
    answer = http.post("/v1/upscale?scale=2", content=picture, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (403, "PermissionDenied")
    assert "access-control-allow-origin" not in answer.headers
    reads = http.get("/v1/actions", headers=headers)
    assert reads.status_code == (403 if "host" in headers else 200)
    assert "access-control-allow-origin" not in reads.headers


def test_its_own_pages_may_call_it(web: Web, http: httpx.Client, picture: bytes) -> None:
    port = web.port
    for headers in (
        {"origin": web.url},
        {"origin": f"http://localhost:{port}", "host": f"localhost:{port}"},
        {"origin": f"http://[::1]:{port}", "host": f"[::1]:{port}"},
        {"sec-fetch-site": "same-origin", "origin": web.url},
        {"sec-fetch-site": "none"},
    ):
        answer = http.post("/v1/upscale?scale=2", content=picture, headers=headers)
        assert answer.status_code == 200, answer.text


def test_cors_is_closed_by_default(http: httpx.Client) -> None:
    answer = http.options("/v1/upscale", headers=PREFLIGHT)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_cors_is_open_for_configured_origins(guarded: httpx.Client, picture: bytes) -> None:
    answer = guarded.options("/v1/upscale", headers=PREFLIGHT)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    headers = {"origin": PAGE, "sec-fetch-site": "cross-site", **bearer("alice")}
    answer = guarded.post("/v1/upscale?scale=2", content=picture, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "Sakuga-Report" in answer.headers["access-control-expose-headers"]
    wrong = guarded.post("/v1/upscale?scale=99", content=picture, headers=headers)
    assert wrong.headers["access-control-allow-origin"] == PAGE  # so the page can read the reason
    sent = (f"Origin: {PAGE}", "Expect: 100-continue")
    large = exchange(port_of(guarded), request("POST /v1/upscale", b"", *sent, length=10**12))
    assert (large.status, large.headers["access-control-allow-origin"]) == (413, PAGE)
    other = guarded.options("/v1/upscale", headers={**PREFLIGHT, "origin": "https://evil.example"})
    assert other.status_code == 403
    assert other.headers["content-type"] == "application/problem+json"
    assert "access-control-allow-origin" not in other.headers


def test_every_answer_has_security_headers(web: Web, http: httpx.Client) -> None:
    answers = [
        http.get("/docs"),
        http.get("/v1/actions"),
        http.get("/nothing"),
        http.get("/v1/upscale"),
        http.post("/v1/upscale", content=b"x"),
        http.head("/healthz"),
    ]
    assert [each.status_code for each in answers] == [200, 200, 404, 405, 422, 200]
    no_http = exchange(web.port, b"nonsense\r\n\r\n")
    assert no_http.status == 400
    for headers in (*(each.headers for each in answers), no_http.headers):
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none';")
        assert headers["referrer-policy"] == "no-referrer"


async def test_an_unexpected_error_is_a_problem_that_tells_nothing() -> None:
    async def broken(*_: object) -> None:
        raise KeyError("/secret/path")

    transport = httpx.ASGITransport(Outermost(broken))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.json()["error"]) == (500, "ServerError")
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_head_is_get_without_the_body(http: httpx.Client) -> None:
    for path in ("/healthz", "/v1/actions", "/docs/swagger-ui-bundle.js"):
        head, whole = http.head(path), http.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.content))


def test_no_url_of_a_caller_is_fetched(http: httpx.Client, picture: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.png"
        file = {"image": ("a.png", picture)}
        for name in ("image", "url", "image_url", "mask", "webhook", "options"):
            assert http.post("/v1/fix-artifacts", params={name: url}, content=picture).is_error
            assert http.post("/v1/fix-artifacts", data={name: url}, files=file).is_error
            assert http.post("/v1/jobs", data={"action": "upscale", name: url}, files=file).is_error
        http.get("/api/remove", params={"url": url})
        http.post("/v1.0/removebg", data={"image_url": url})
        http.post("/predictions", json={"input": {"image": url}})
        http.post("/sdapi/v1/extra-single-image", json={"image": url})
        with pytest.raises(BlockingIOError):  # nobody has come
            listener.accept()
