"""A server as production has it, with mutual TLS, probes, traces and a short queue; and clients."""

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import trustme

from calls import until_begun
from envoy_for_tests import envoy
from networks_for_tests import repository_of
from pictures import encoded, gradient
from sakuga import (
    Config,
    ConfigError,
    Images,
    QueueTimeout,
    ServerUnavailable,
    connect,
    trace_context,
)
from sakuga_server.runtime.binaries import binary
from sakuga_server.runtime.embedded import free_port, run_triton
from serving_for_tests import LONGEST, Serve, started

VIDEO = "realesr-animevideov3"
PICTURE, SLOW = encoded(gradient(16, 16)), encoded(gradient(256, 256))
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NETWORK = "realesr_animevideov3"


class Collector(BaseHTTPRequestHandler):
    """Takes what OpenTelemetry sends over HTTP."""

    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def traces() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a collector of traces, and what it was sent."""
    bodies: list[bytes] = []
    kind = type("Ours", (Collector,), {"bodies": bodies})
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", bodies
        server.shutdown()


def certificates(folder: Path) -> None:
    """An authority, a certificate of the server's, one of a client's, and a stranger's."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for who, issuer in (("server", authority), ("client", authority), ("stranger", trustme.CA())):
        issued = issuer.issue_cert("localhost")
        issued.private_key_pem.write_to_path(folder / f"{who}.key")
        issued.cert_chain_pems[0].write_to_path(folder / f"{who}.pem")


@pytest.fixture(scope="module")
async def serve(
    served: Path, tmp_path_factory: pytest.TempPathFactory, traces: tuple[str, list[bytes]]
) -> AsyncIterator[Serve]:
    folder = tmp_path_factory.mktemp("hardened")
    repository_of(served, folder / "repository")
    certificates(folder)
    serve = Serve(folder, free_port())
    serve.http_port = free_port()
    settings = {"upscale_workers": 1, "http_port": serve.http_port, "trace_url": traces[0]}
    names = {"certificate": "server.pem", "key": "server.key"}
    serve.write(VIDEO, **settings, tls={"ca": "ca.pem", **names, "mutual": True})
    await started(serve)
    yield serve
    serve.end()


def client(serve: Serve, **tls: str) -> Path:
    """The config.yaml of a client."""
    file = serve.folder / f"client-{'-'.join(tls.values())}.yaml"
    server = {"url": f"localhost:{serve.port}", "tls": tls}
    file.write_text(json.dumps({"realesrgan": {"tile_size": 64}, "server": server}))
    return file


@pytest.fixture(scope="module")
def known(serve: Serve) -> Path:
    """The config.yaml of a client that has a certificate."""
    return client(serve, ca="ca.pem", certificate="client.pem", key="client.key")


@pytest.fixture(scope="module")
async def images(known: Path) -> AsyncIterator[Images]:
    async with connect(known) as images:
        yield images


async def test_mutual_tls_takes_those_it_knows_and_refuses_all_others(
    serve: Serve, images: Images
) -> None:
    assert await images.process(PICTURE, "upscale", {"model": VIDEO})
    strangers = {
        "no certificate": {"ca": "ca.pem"},
        "another's": {"ca": "ca.pem", "certificate": "stranger.pem", "key": "stranger.key"},
        "trusts another": {"ca": "stranger.pem"},
        "no tls": {},
    }
    for tls in strangers.values():
        async with connect(client(serve, **tls)) as stranger:
            stranger.config.server.retries = 0
            with pytest.raises(ServerUnavailable, match=r"server\.tls" if tls else "no server"):
                await stranger.process(PICTURE, "upscale", {"model": VIDEO})
    assert await images.process(PICTURE, "upscale", {"model": VIDEO})


async def test_envoy_has_mutual_tls_on_both_sides(serve: Serve, tmp_path: Path) -> None:
    for name, of_secret in (
        ("ca.pem", "ca.crt"),
        ("server.pem", "tls.crt"),
        ("server.key", "tls.key"),
    ):
        (tmp_path / of_secret).write_bytes((serve.folder / name).read_bytes())
    secret = "tls.existingSecret=any,tls.mutual=true,tls.serverName=localhost"
    tls = {"ca": "ca.pem", "certificate": "client.pem", "key": "client.key"}
    with envoy(tmp_path, [serve.port], ["--set", secret], str(tmp_path)) as running:
        async with connect(client(serve, **tls), url=running.url) as images:
            assert await images.process(PICTURE, "upscale", {"model": VIDEO})
        async with connect(client(serve, ca="ca.pem"), url=running.url) as stranger:
            stranger.config.server.retries = 0
            with pytest.raises(ServerUnavailable):
                await stranger.process(PICTURE, "upscale", {"model": VIDEO})


async def test_serve_administers_itself_over_tls(serve: Serve, known: Path) -> None:
    assert "can't follow" not in serve.printed
    state = serve.run("--config", str(known), "status")
    assert state.returncode == 0, state.stderr
    assert "ready" in state.stdout


def test_http_answers_probes_alone(serve: Serve) -> None:
    at = f"http://127.0.0.1:{serve.http_port}/v2"
    for probe in ("health/live", "health/ready"):
        assert urlopen(f"{at}/{probe}").status == 200
    for other in ("", "/models/upscale", "/models/upscale/config", "/models/stats"):
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{at}{other}")
        assert refused.value.code == 403


def spans(bodies: list[bytes]) -> list[dict[str, Any]]:
    """Of the caller's trace."""
    scopes = [
        scope
        for body in bodies
        for resource in json.loads(body)["resourceSpans"]
        for scope in resource["scopeSpans"]
    ]
    found = [span for scope in scopes for span in scope["spans"]]
    return [span for span in found if span["traceId"] == TRACE]


async def test_a_traceparent_reaches_tritons_traces(
    images: Images, traces: tuple[str, list[bytes]]
) -> None:
    with trace_context(f"00-{TRACE}-{CALLER}-01"):
        await images.process(PICTURE, "upscale", {"model": VIDEO})
    # The network's part of the work is in the caller's trace, too, not in one of its own.
    by_name: dict[str, Any] = {}
    async with asyncio.timeout(LONGEST):
        while not {"upscale", NETWORK} <= set(by_name):
            await asyncio.sleep(0.05)
            by_name = {span["name"]: span for span in spans(traces[1])}
    assert by_name["InferRequest"]["parentSpanId"] == CALLER


async def test_a_picture_whose_turn_comes_too_late_is_not_begun(
    images: Images, known: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = {"model": VIDEO}
    # Triton takes some out of the queue before their turn.
    async with until_begun(images.triton, NETWORK):
        slow = [asyncio.ensure_future(images.process(SLOW, "upscale", video)) for _ in range(4)]
    monkeypatch.setattr("sakuga.triton.QUEUE_SHARE", 0.001)
    async with connect(known) as hasty:
        hasty.config.server.timeout, hasty.config.server.retries = 100, 0
        before = (await hasty.triton.status())["models"]["upscale"]
        with pytest.raises(QueueTimeout, match="queue of upscale"):
            await hasty.process(PICTURE, "upscale", video)
        assert not all(picture.done() for picture in slow)
    assert all(await asyncio.gather(*slow))
    after = (await images.triton.status())["models"]["upscale"]
    assert after["images"] - before["images"] <= len(slow)


async def test_no_more_pictures_are_under_way_than_in_flight(known: Path) -> None:
    async with connect(known) as few:
        few.config.server.in_flight = 2
        most, under_way = 0, few.triton._call

        async def counted(*arguments: object) -> list[bytes]:
            nonlocal most, now
            now += 1
            most = max(most, now)
            try:
                return await under_way(*arguments)
            finally:
                now -= 1

        now = 0
        few.triton._call = counted
        await asyncio.gather(*(few.process(PICTURE, "upscale") for _ in range(8)))
    assert most == 2


async def test_a_triton_that_is_installed_is_started_where_one_is_named(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As NVIDIA's container has it: all backends in a folder, libraries where they are found.
    wheel = binary(tmp_path / "backends")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tritonserver").symlink_to(wheel.program)
    monkeypatch.setenv("LD_LIBRARY_PATH", os.pathsep.join(map(str, wheel.libraries)))
    monkeypatch.setenv("SAKUGA_TRITON", str(tmp_path))
    models = ["upscale", "networks", "realesr_animevideov3"]
    with run_triton(config, models=models) as server:
        assert str(tmp_path / "bin" / "tritonserver") in server.process.args
        async with connect(config, url=server.url) as images:
            assert await images.process(PICTURE, "upscale", {"model": VIDEO})
    monkeypatch.setenv("SAKUGA_TRITON", str(tmp_path / "bin"))
    with pytest.raises(ConfigError, match="SAKUGA_TRITON is"):
        binary(tmp_path)
