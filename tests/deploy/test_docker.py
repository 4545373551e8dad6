"""The images: a real builder carries out the Dockerfiles, and the CPU's image serves a picture.
`make check-deploy` does that; what only reads the files runs in `make test`.

podman (buildah inside) was chosen because it needs no daemon, runs from Debian's packages alone,
and does all that the Dockerfiles ask for: stages, cache mounts, health check, user. Docker's and
BuildKit's builders need a daemon; kaniko and img are in no registry of packages.
"""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import tools
from containers import DOCKER, Container, Image, base, build, podman, running
from networks_for_tests import PROJECT, Bare
from pictures import encoded, gradient, off, pixels_of
from sakuga import Config, connect, load_config
from sakuga_core.config.gateway import Gateway
from sakuga_server.runtime.embedded import EXIT_SECONDS, MARGIN_SECONDS, free_port

CHART = PROJECT / "kubernetes" / "sakuga"
DOCKERFILES = sorted(DOCKER.glob("Dockerfile.*"))
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVERS = ("gpu", "cpu")
VIDEO = "realesr-animevideov3"
SECONDS_TO_START = 300


IMAGE = re.compile(r"^(?:ARG \w+=|FROM )(?!https:)(\S+:\S+)", re.MULTILINE)
STAGE = re.compile(r"^FROM \S+ AS (\w+)$", re.MULTILINE)

each_file = pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)


def text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def one(pattern: str, file: Path) -> str:
    """The one place of a Dockerfile that has the pattern."""
    (found,) = re.findall(pattern, text(file), re.MULTILINE)
    return str(found)


@cache
def tracked() -> list[str]:
    """The project's files that are committed, or are going to be."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.check_output(listed, cwd=PROJECT, text=True).splitlines()


def copied(file: Path) -> set[str]:
    """The folders and files of the project that go into an image."""
    return set(re.findall(r"^COPY (?!--)(\S+) ", text(file), re.MULTILINE))


def test_what_is_sent_to_the_builder_is_what_is_copied() -> None:
    sent = re.findall(r"^!(\S+)$", text(PROJECT / ".dockerignore"), re.MULTILINE)
    assert set(sent) == set.union(*map(copied, DOCKERFILES))
    assert [name for name in sent if not (PROJECT / name).exists()] == []


@each_file
def test_every_room_that_an_image_installs_is_copied(file: Path) -> None:
    installed = re.findall(r"[ \"]\./(\w+)", text(file))
    assert "core" in installed
    assert set(installed) <= copied(file)


@each_file
def test_every_image_is_pinned(file: Path) -> None:
    images = IMAGE.findall(text(file))
    assert images
    assert all(re.search(r":\d[\w.-]*(@sha256:[0-9a-f]{64})?$", image) for image in images)


def test_nvidias_release_is_named_once_and_is_none_with_known_holes() -> None:
    named = re.compile(r"tritonserver:(\d\d\.\d\d)")
    prose = ("README.md", "CHANGELOG.md", "docs/")
    files = [PROJECT / name for name in tracked() if not name.startswith(prose)]
    texts = [file.read_text(encoding="utf-8", errors="ignore") for file in files if file.exists()]
    (release,) = [release for text in texts for release in named.findall(text)]
    assert release >= "26.11"


@each_file
def test_ports_and_probe_are_those_of_the_configuration(file: Path) -> None:
    config = load_config(DOCKER / "config.yaml")
    server, gateway = config.server, config.gateway
    served, probed = {server.http_port, server.metrics_port}, server.http_port
    served.add(int(server.url.rpartition(":")[2]))
    if file.suffix == ".gateway":
        served, probed = {gateway.port}, gateway.port
    assert {*map(int, one(r"^EXPOSE (.*)", file).split())} == served
    assert f"'localhost', {probed})" in one(r"^HEALTHCHECK [^\n]*\n(.*)", file)


def test_containers_remove_the_background_as_the_projects_configuration_does() -> None:
    ours, projects = load_config(DOCKER / "config.yaml"), load_config(PROJECT / "config.yaml")
    assert ours.options_for("rembg") == projects.options_for("rembg")


def test_a_gpu_gets_the_same_settings_and_its_own() -> None:
    ours, gpus = (load_config(DOCKER / f"{name}.yaml").model_dump() for name in ("config", "gpu"))
    for name in ("accelerator", "engine_cache", "start_timeout", "max_queue_delay_us"):
        assert gpus["server"].pop(name) != ours["server"].pop(name)
    assert gpus == ours


def test_engines_stay_on_a_volume_that_the_server_may_write_to() -> None:
    mounts = dict(reversed(volume.split(":")[:2]) for volume in SERVICES["gpu"]["volumes"])
    settings = load_config(DOCKER / Path(mounts["/etc/sakuga/config.yaml"]).name).server
    folder = str(settings.engine_cache)
    assert mounts[folder] in COMPOSE["volumes"]
    # A new volume gets the owner of the folder that it is mounted over.
    file = DOCKER / "Dockerfile.triton"
    owner = one(rf"^RUN install --directory --owner=(\d+) --group=\d+ {folder}$", file)
    assert owner == one(r"^STOPSIGNAL SIGTERM\nUSER (\d+)$", file)


def test_only_the_gpus_server_reserves_a_gpu() -> None:
    reserved = {
        name: service["deploy"]["resources"]["reservations"]["devices"]
        for name, service in SERVICES.items()
        if "deploy" in service
    }
    assert set(reserved) == {"gpu"}
    (device,) = reserved["gpu"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_building_engines_is_no_failure() -> None:
    minutes = int(SERVICES["gpu"]["healthcheck"]["start_period"].removesuffix("m"))
    assert minutes * 60 >= load_config(DOCKER / "gpu.yaml").server.start_timeout


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_hardened_pinned_and_reached_from_this_machine_alone(name: str) -> None:
    service = SERVICES[name]
    assert set(service["profiles"]) <= {*SERVERS, "postgres"}
    assert re.search(r":v?\d+\.\d+\.\d+$|^postgres:\d+\.\d+$", service["image"])
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


def test_whoever_reaches_http_without_a_key_is_on_this_machine() -> None:
    gateway, config = SERVICES["gateway"], load_config(DOCKER / "config.yaml")
    assert gateway["command"] == ["sakuga", "web", "--no-auth"]
    port = config.gateway.port
    assert gateway["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_the_gateway_finds_whichever_server_runs_and_keeps_its_jobs() -> None:
    gateway = SERVICES["gateway"]
    name, _, port = gateway["environment"]["SAKUGA_URL"].partition(":")
    for server in SERVERS:
        assert name in SERVICES[server]["networks"]["default"]["aliases"]
        assert set(SERVICES[server]["profiles"]) <= set(gateway["profiles"])
        assert SERVICES[server]["ports"][0].endswith(f":{port}")
    mounts = dict(reversed(volume.split(":")[:2]) for volume in gateway["volumes"])
    (home,) = re.findall(r"XDG_DATA_HOME=(\S+)", text(DOCKER / "Dockerfile.gateway"))
    assert mounts[f"{home}/sakuga"] in COMPOSE["volumes"]
    assert (
        int(gateway["stop_grace_period"].removesuffix("s"))
        > Gateway().exit_timeout + MARGIN_SECONDS
    )


def test_jobs_are_in_a_database_where_one_is_named() -> None:
    gateway, postgres = SERVICES["gateway"], SERVICES["postgres"]
    assert {"SAKUGA_JOBS", "PGPASSWORD"} <= set(gateway["environment"])
    # What has no value comes from the environment, and isn't there where that doesn't have it.
    assert gateway["environment"]["SAKUGA_JOBS"] is None
    # Without its profile there is no such service to wait for.
    assert gateway["depends_on"]["postgres"]["required"] is False
    # As the header has it.
    assert f"postgresql://{postgres['environment']['POSTGRES_USER']}@postgres/" in text(
        DOCKER / "compose.yaml"
    )


@pytest.mark.parametrize("name", ["export", "gateway", *SERVERS])
def test_what_is_built_is_a_stage_and_of_this_version(name: str) -> None:
    service = SERVICES[name]
    pyproject = (PROJECT / "client" / "pyproject.toml").read_text(encoding="utf-8")
    build = service["build"]
    assert (DOCKER / build["context"]).samefile(PROJECT)
    assert build["target"] in STAGE.findall(text(PROJECT / build["dockerfile"]))
    assert f'\nversion = "{service["image"].rpartition(":")[2]}"\n' in pyproject


def built(name: str, target: str, *images: str, **arguments: str) -> Image:
    """A stage of a Dockerfile, with stand-ins for base images that can't be had here."""
    file = DOCKER / f"Dockerfile.{name}"
    bases = {image: base(one(rf"^ARG {image}=(.*)", file)) for image in images}
    try:
        return build(file, target, **bases, **arguments)
    except tools.Unavailable as error:
        pytest.fail(str(error))


@pytest.fixture(scope="module")
def engine() -> None:
    try:
        podman("version")
    except tools.Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def container(engine: None) -> Iterator[Container]:
    """Dockerfile.cpu's default target with one network, once its health check passes."""
    image = built(
        "cpu", STAGE.findall(text(DOCKER / "Dockerfile.cpu"))[-1], "PYTHON", NETWORKS=VIDEO
    )
    check = image.health_command()
    with running(image, free_port()) as container:
        container.wait_until_healthy(check, SECONDS_TO_START)
        yield container


@pytest.mark.deploy
async def test_the_cpu_image_serves_a_picture_writes_to_tmp_alone_and_ends_in_order(
    container: Container,
) -> None:
    picture = gradient(24, 32)
    async with connect(Config(), url=container.url) as images:
        result = pixels_of(await images.process(encoded(picture), "upscale", {"model": VIDEO}))
    assert result.shape == (96, 128, 3)
    # A CPU that has bfloat16 computes in it.
    assert off(result, Bare(PROJECT / "model_repository", VIDEO)(picture)) <= 3
    assert container.stop() == 0, container.log()
    assert "Stopped." in container.log()
    assert container.written() == ""


@pytest.mark.deploy
def test_the_image_for_tritons_container_has_what_the_server_needs(engine: None) -> None:
    image = built("triton", "server", "PYTHON", "TRITON")
    command = ["python", "-c", "import sakuga, sakuga_server.pipelines.upscale, cv2; print('fine')"]
    assert "fine" in image.run(*command)
    cache = load_config(DOCKER / "gpu.yaml").server.engine_cache
    assert "writable" in image.run(
        "find", cache, "-maxdepth", "0", "-writable", "-printf", "writable"
    )
    config = image.inspected()["Config"]
    assert config["User"] == "1000"
    assert config["Cmd"] == ["sakuga", "serve"]


@each_file
def test_hadolint_finds_nothing_to_fix(file: Path) -> None:
    command = [tools.needed("hadolint"), file]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    for file in (DOCKER / "prometheus.yml", CHART / "files" / "rules.yaml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())  # as they are mounted
    command = [tools.needed("promtool"), "check", "config", tmp_path / "prometheus.yml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
