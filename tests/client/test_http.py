"""HTTP to a gateway, on servers that tests write themselves."""

import asyncio
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from sakuga import (
    BadImage,
    Config,
    ConfigError,
    DeadlineExceeded,
    Overloaded,
    PermissionDenied,
    ProviderError,
    ServerError,
    ServerUnavailable,
    connect,
    connect_sync,
)
from sakuga.answers import PARTS
from sakuga.gateway import Gateway
from sakuga.triton import Triton
from sakuga_core.config.server import Server
from sakuga_core.errors import SakugaError
from written_gateway import GOOD, UPSCALE, URL, answer, problem, reached, written


async def test_a_plain_call_is_one_request() -> None:
    async with reached(GOOD) as (server, gateway):
        reply = await gateway.run(UPSCALE, b"picture", {"scale": 2})
    assert reply == (b"result", {"model": "m"})
    (head,), (body,) = server.heads, server.bodies
    assert head.startswith("POST /v1/upscale?options=%7B%22scale%22")
    assert "x-api-key: key\r\n" in head.lower()
    assert "transfer-encoding" not in head.lower()
    assert body == b"picture"


async def test_a_server_of_grpc_is_recognised() -> None:
    settings = b"\0\0\0\4\0\0\0\0\0"  # HTTP/2's first frame
    async with reached(settings, retries=0) as (_, gateway):
        with pytest.raises(ServerUnavailable, match="doesn't speak HTTP; for Triton's gRPC"):
            await gateway.run(UPSCALE, b"picture", {})


async def test_a_path_before_the_interface_is_kept() -> None:
    async with written(GOOD) as server, Gateway(Server(url=f"{server.url}/art/")) as gateway:
        await gateway.run(UPSCALE, b"picture", {})
    assert server.heads[0].startswith("POST /art/v1/upscale HTTP")


async def test_a_users_name_and_password_are_sent_and_never_shown() -> None:
    async with written(GOOD, problem(500, "ServerError")) as server:
        secret = server.url.replace("//", "//me:secret@")
        async with Gateway(Server(url=secret), "key") as gateway:
            assert "secret" not in gateway.url
            await gateway.run(UPSCALE, b"picture", {})
    assert "authorization: basic" in server.heads[0].lower()
    assert "x-api-key: key" in server.heads[0].lower()
    with pytest.raises(ConfigError) as caught:
        Gateway(Server(url="http://me:secret@host?x=1"))
    assert "secret" not in str(caught.value)


async def test_https_is_trusted_by_the_authority_of_the_configuration(tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with written(GOOD, certificate=context) as server:
        settings = Server(url=server.url, retries=0)
        async with Gateway(settings) as gateway:
            with pytest.raises(ServerUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                await gateway.run(UPSCALE, b"picture", {})
            settings.tls.ca = tmp_path / "ca.pem"
            assert (await gateway.run(UPSCALE, b"picture", {})).result == b"result"
            settings.tls.ca = tmp_path / "none.pem"
            with pytest.raises(ConfigError, match=r"server\.tls: .* can't be used"):
                await gateway.run(UPSCALE, b"picture", {})


@pytest.mark.parametrize("error", ["ServerUnavailable", "QueueTimeout"])
async def test_who_may_try_again_does(error: str) -> None:
    async with reached(problem(503, error), GOOD) as (server, gateway):
        assert (await gateway.run(UPSCALE, b"picture", {})).result == b"result"
    assert server.bodies == [b"picture"] * 2


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (problem(503, "Overloaded"), Overloaded),
        (problem(429, "Overloaded"), Overloaded),
        (problem(429, "Overloaded", retry_after="700"), Overloaded),
        (problem(422, "BadImage"), BadImage),
        (problem(403, "PermissionDenied"), PermissionDenied),
        (problem(500, "ProviderError"), ProviderError),
        (problem(504, "DeadlineExceeded"), DeadlineExceeded),
        (answer(302, b"", location="http://elsewhere"), ServerError),
        (answer(200, b"<html>", content_type="text/html"), ServerError),
        (answer(200, b"--b\r\n", content_type=f"{PARTS}; boundary=b"), ServerError),
    ],
)
async def test_what_no_attempt_can_change_is_raised_at_once(
    sent: bytes, kind: type[SakugaError]
) -> None:
    async with reached(sent, GOOD) as (server, gateway):
        with pytest.raises(SakugaError) as caught:
            await gateway.run(UPSCALE, b"picture", {})
    assert type(caught.value) is kind
    assert len(server.bodies) == 1


async def test_who_is_told_to_come_back_does_without_an_attempt() -> None:
    async with reached(*[problem(429, "Overloaded", retry_after="0")] * 2, GOOD, retries=0) as (
        server,
        gateway,
    ):
        assert (await gateway.run(UPSCALE, b"picture", {})).result == b"result"
    assert len(server.bodies) == 3


async def test_a_broken_answer_is_asked_for_again() -> None:
    async with reached(GOOD[:-20], GOOD) as (server, gateway):
        assert (await gateway.run(UPSCALE, b"picture", {})).result == b"result"
    assert len(server.bodies) == 2


async def test_nobody_there_is_unavailable() -> None:
    async with written() as server:
        url = server.url
    async with Gateway(Server(url=url, retries=0)) as gateway:
        with pytest.raises(ServerUnavailable, match=f"no gateway answers at {url}"):
            await gateway.run(UPSCALE, b"picture", {})


async def test_the_deadline_is_the_total() -> None:
    async with reached(timeout=0.3) as (server, gateway):
        with pytest.raises(DeadlineExceeded, match=r"server\.timeout"):
            await gateway.run(UPSCALE, b"picture", {})
        await server.gone.wait()


async def test_a_cancelled_call_hangs_up() -> None:
    async with reached() as (server, gateway):
        call = asyncio.ensure_future(gateway.run(UPSCALE, b"picture", {}))
        await server.came.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.gone.wait()


def test_only_options_that_somebody_sets_are_chosen() -> None:
    config = Config()
    assert config.set_options_for("upscale") == {}
    assert config.set_options_for("fix_artifacts", {"restore": True}) == {"restore": True}
    config.realesrgan.tile_size = 128
    config.providers.image.enhance.model = "realesrgan-anime-6b"
    assert config.set_options_for("upscale", {"width": 9}) == {"tile_size": 128, "width": 9}
    chosen = {"model": "realesrgan-x4plus-anime", "tile_size": 128}
    assert config.set_options_for("enhance") == chosen
    assert config.options_for("enhance") == chosen


@pytest.mark.parametrize(
    "url", ["http://", "http://host:port", "https://[::1", "http://a/?b", "http://host\n"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="allowed for a gateway: http://host:port"):
        connect_sync(url)


@pytest.mark.parametrize("key", ["a\nb", "schlüssel"])
def test_a_key_that_cant_be_sent_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        connect_sync(URL, key=key)
    assert key not in str(caught.value)


async def test_an_address_in_the_place_of_the_file_reads_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("nonsense: 1")
    async with connect(URL) as images:
        assert isinstance(images.triton, Gateway)
        assert images.config.source is None
    with pytest.raises(ConfigError, match="nonsense"):
        async with connect(url=URL):
            pass


async def test_the_transport_follows_the_address_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAKUGA_URL", URL)
    async with connect() as images:
        assert images.triton.url == URL
    async with connect(url="host:8001") as images:
        assert isinstance(images.triton, Triton)
        images.config.server.url = URL
        await images.triton.close()
    async with Triton(Server(url=URL)) as triton:
        with pytest.raises(
            ConfigError, match="an HTTP gateway's; allowed here: auto, or host:port"
        ):
            await triton.networks()


async def test_another_address_takes_effect_with_the_next_call() -> None:
    config = Config()
    async with written(GOOD) as first, written(GOOD) as second:
        config.server.url = first.url
        async with connect(config) as images:
            assert await images.upscale(b"one") == b"result"
            config.server.url = second.url
            assert await images.upscale(b"two") == b"result"
            config.server.url = "host:8001"
            with pytest.raises(ConfigError, match="allowed for a gateway"):
                await images.upscale(b"three")
    assert (first.bodies, second.bodies) == ([b"one"], [b"two"])


def test_httpx_is_imported_for_gateways_alone() -> None:
    code = """
import sys
from sakuga import connect_sync
from sakuga.cli import main
connect_sync(url="host:8001").close()
print("httpx" in sys.modules)
connect_sync("http://host:8080").close()
print("httpx" in sys.modules)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\nTrue\n"
