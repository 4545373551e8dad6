"""The gateway where it is deployed: behind it the chart's own Envoy, and in its image."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import envoy_for_tests
import tools
from containers import DOCKER, Container, Image, base, build, podman, running
from gateway_for_tests import U2NET, VIDEO, Web, finished, submitted
from networks_for_tests import Bare
from pictures import encoded, gradient, off, pixels_of
from sakuga import Config
from sakuga_server.runtime.embedded import free_port, run_triton

FORBIDDEN = ("torch", "onnxruntime", "cv2", "sakuga_server", "sakuga_export")
SECONDS_TO_START = 60


@pytest.fixture(scope="module")
def triton(served: Path) -> Iterator[str]:
    """host:port of a server."""
    config = Config()
    config.server.repository = served
    config.server.precision = "fp32"
    config.server.upscale_workers = 1
    config.server.matting_workers = config.server.fix_artifacts_workers = 1
    config.providers.image.upscale.model = VIDEO
    config.providers.image.rembg.model = U2NET
    with run_triton(config) as server:
        yield server.url


def answers(client: httpx.Client, bare: Bare) -> None:
    """Whether a gateway does what callers need: a picture at once, and one as a job."""
    picture = gradient(24, 32)
    wanted, files = bare(picture), {"image": ("a.png", encoded(picture))}
    answer = client.post("/v1/upscale", files=files, data={"model": VIDEO})
    assert answer.status_code == 200, answer.text
    assert off(pixels_of(answer.content), wanted) <= 1
    job = finished(client, submitted(client, encoded(picture), scale="4", model=VIDEO))
    assert job["state"] == "succeeded"
    result = client.get(job["links"]["result"])
    assert off(pixels_of(result.content), wanted) <= 1


def test_envoy_passes_on_all_that_the_gateway_asks_for(
    triton: str, bare: dict[str, Bare], tmp_path: Path
) -> None:
    with envoy_for_tests.envoy(tmp_path, [int(triton.rpartition(":")[2])]) as envoy:
        web = Web(tmp_path, envoy.url)
        web.start()
        try:
            with web.client() as client:
                assert client.get("/readyz").status_code == 200
                names = {each["name"] for each in client.get("/v1/models").json()["models"]}
                assert VIDEO in names
                answers(client, bare[VIDEO])
        finally:
            web.end()


@pytest.fixture(scope="module")
def image() -> Image:
    try:
        podman("version")
    except tools.Unavailable as error:
        pytest.skip(str(error))
    try:
        return build(DOCKER / "Dockerfile.gateway", "gateway", PYTHON=base("python:3.11-slim"))
    except tools.Unavailable as error:
        pytest.fail(str(error))


@pytest.fixture
def container(image: Image, triton: str) -> Iterator[Container]:
    """One that reaches the server, once its health check passes."""
    port = free_port()
    options = ["--network=host", f"--env=SAKUGA_URL={triton}", "--volume=/var/lib/sakuga"]
    command = ["sakuga", "web", "--host=127.0.0.1", f"--port={port}"]
    with running(image, port, options=options, command=command) as container:
        check = [word.replace("8080", str(port)) for word in image.health_command()]
        container.wait_until_healthy(check, SECONDS_TO_START)
        yield container


@pytest.mark.deploy
def test_the_image_answers_writes_to_its_volume_alone_and_ends_in_order(
    container: Container, bare: dict[str, Bare]
) -> None:
    with httpx.Client(base_url=f"http://{container.url}", timeout=120) as client:
        answers(client, bare[VIDEO])
    assert container.stop() == 0, container.log()
    assert "Stopped." in container.log()
    assert container.written() == ""


@pytest.mark.deploy
def test_the_image_has_no_engine_and_serves_nobody_without_keys(image: Image) -> None:
    finds = "import importlib.util as u; print([n for n in {} if u.find_spec(n)])"
    assert image.run("python", "-c", finds.format(FORBIDDEN)).strip() == "[]"
    config = image.inspected()["Config"]
    assert config["User"] == "1000"
    with pytest.raises(tools.Unavailable, match=r"gateway\.keys is empty"):
        image.run(*config["Cmd"])
