"""The images: what they are made of is there, and the CPU's, built without Docker, serves."""

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

import tools
from dockerfiles import DOCKER, Build, Container, context, sources, stages, steps, tracked, within
from networks_for_tests import PROJECT, Bare
from pictures import encoded, gradient, off, pixels_of
from sakuga import Config, connect, load_config
from sakuga_server.runtime.embedded import EXIT_SECONDS, MARGIN_SECONDS, free_port

CHART = PROJECT / "kubernetes" / "sakuga"
DOCKERFILES = sorted(DOCKER.glob("Dockerfile.*"))
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVERS = ("gpu", "cpu")
VIDEO = "realesr-animevideov3"


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_what_is_copied_is_there_and_not_ignored(file: Path) -> None:
    assert sources(file)
    assert [source for source in sources(file) if not within(source)] == []


def test_nothing_else_is_sent_to_the_builder() -> None:
    copied = {file for each in DOCKERFILES for source in sources(each) for file in within(source)}
    assert set(context()) == copied


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_every_image_is_pinned(file: Path) -> None:
    known = stages(file)
    images = [stage.base for stage in known.values() if stage.base not in known]
    assert images
    assert all(re.search(r":\d[\w.-]*$", image) for image in images)


def test_nvidias_release_is_named_once_and_is_none_with_known_holes() -> None:
    said = re.compile(r"tritonserver:(\d\d\.\d\d)")
    told = ("README.md", "CHANGELOG.md", "docs/")
    files = [PROJECT / name for name in tracked() if not name.startswith(told)]
    texts = [file.read_text(encoding="utf-8", errors="ignore") for file in files if file.exists()]
    (release,) = [release for text in texts for release in said.findall(text)]
    assert release >= "26.05"


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_ports_and_probe_are_those_of_the_configuration(file: Path) -> None:
    server = load_config(DOCKER / "config.yaml").server
    grpc = int(server.url.rpartition(":")[2])
    (exposed,) = [step.text for step in steps(file) if step.name == "EXPOSE"]
    (probe,) = [step.text for step in steps(file) if step.name == "HEALTHCHECK"]
    assert {*map(int, exposed.split())} == {grpc, server.http_port, server.metrics_port}
    assert f"'localhost', {server.http_port}" in probe


def test_containers_cut_out_as_the_projects_configuration_does() -> None:
    ours, projects = load_config(DOCKER / "config.yaml"), load_config(PROJECT / "config.yaml")
    assert ours.options_for("rembg") == projects.options_for("rembg")


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_hardened_pinned_and_reached_from_this_machine_alone(name: str) -> None:
    service = SERVICES[name]
    assert set(service["profiles"]) <= set(SERVERS)
    assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    for port in service.get("ports", []):
        assert port.startswith(("127.0.0.1:", "${SAKUGA_BIND:-127.0.0.1}:"))


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    mounted = [volume.split(":")[0] for volume in SERVICES[name].get("volumes", [])]
    files = [source for source in mounted if source.startswith(".")]
    assert [file for file in files if not (DOCKER / file).is_file()] == []
    assert set(mounted) - set(files) <= set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", SERVERS)
def test_servers_have_room_for_pictures_and_time_to_finish_them(name: str) -> None:
    service, server = SERVICES[name], load_config(DOCKER / "config.yaml").server
    assert int(service["shm_size"].removesuffix("g")) * 1024 >= 512
    assert (
        int(service["stop_grace_period"].removesuffix("s"))
        > server.exit_timeout + EXIT_SECONDS + MARGIN_SECONDS
    )


@pytest.mark.parametrize("name", ["export", *SERVERS])
def test_what_is_built_is_a_stage_and_of_this_version(name: str) -> None:
    service = SERVICES[name]
    pyproject = (PROJECT / "client" / "pyproject.toml").read_text(encoding="utf-8")
    build = service["build"]
    assert (DOCKER / build["context"]).samefile(PROJECT)
    assert build["target"] in stages(PROJECT / build["dockerfile"])
    assert f'\nversion = "{service["image"].rpartition(":")[2]}"\n' in pyproject


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Container:
    """Dockerfile.cpu's default target with one network, on ports that are free here."""
    build = Build(DOCKER / "Dockerfile.cpu", tmp_path_factory.mktemp("image"), {"NETWORKS": VIDEO})
    image = build.target(list(build.stages)[-1])
    container = Container(build.root, image, free_port(), free_port())
    file = build.root / "etc" / "sakuga" / "config.yaml"
    config = yaml.safe_load(file.read_text())
    ports = {"http_port": container.http_port, "metrics_port": free_port()}
    config["server"] |= {"url": container.url, **ports}
    file.unlink()  # other stages have the same file
    file.write_text(yaml.safe_dump(config))
    return container


@contextmanager
def running(container: Container, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The container's command, once its health check says that it serves."""
    folder, environment = container.root / "tmp", container.environment
    with (
        log.open("wb") as said,
        subprocess.Popen(
            container.command, cwd=folder, env=environment, stdout=said, stderr=said
        ) as process,
    ):
        end = time.monotonic() + 300
        while not container.healthy():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.5)
        try:
            yield process
        finally:
            process.kill()  # Triton ends with it


@pytest.mark.deploy
async def test_the_cpu_image_serves_a_picture_writes_to_tmp_alone_and_ends_in_order(
    container: Container, tmp_path: Path
) -> None:
    before, log = container.written(), tmp_path / "log"
    picture = gradient(24, 32)
    with running(container, log) as process:
        async with connect(Config(), url=container.url) as images:
            result = pixels_of(await images.process(encoded(picture), "upscale", {"model": VIDEO}))
        assert result.shape == (96, 128, 3)
        # A CPU that has bfloat16 computes in it.
        assert off(result, Bare(container.root / "models", VIDEO)(picture)) <= 3
        process.send_signal(getattr(signal, container.image.notes["STOPSIGNAL"]))
        assert process.wait(60) == 0, log.read_text()
    assert "Stopped." in log.read_text()
    assert container.written() == before


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_hadolint_finds_nothing_to_mend(file: Path) -> None:
    command = [tools.needed("hadolint"), file]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    for file in (DOCKER / "prometheus.yml", CHART / "files" / "rules.yaml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())  # as they are mounted
    command = [tools.needed("promtool"), "check", "config", tmp_path / "prometheus.yml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
