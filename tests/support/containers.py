"""Real images: podman builds and runs them, without a daemon and without Docker.

The base images come from their registry. Where it can't be reached, Debian's packages make a
stand-in for them: same Python, same folders, none of NVIDIA's libraries.
"""

import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from networks_for_tests import PROJECT
from tools import Unavailable, output

DOCKER = PROJECT / "docker"
INSTALL = "apt-get install --no-install-recommends podman runc containernetworking-plugins"
SECONDS = 1800  # for one build: it installs torch

STAND_IN = "localhost/sakuga-tests/debian:bookworm"  # whose Python is 3.11, as the images need
PACKAGES = "ca-certificates,libpython3.11,python-is-python3,python3,python3-pip,python3-venv"


def podman(*arguments: object, seconds: float = SECONDS) -> str:
    """What podman prints.

    Raises:
        Unavailable: it isn't there, fails, or doesn't end.
    """
    if shutil.which("podman") is None:
        raise Unavailable(f"podman isn't installed: {INSTALL}")
    return output(["podman", *_without_systemd(), *map(str, arguments)], seconds)


@cache
def _without_systemd() -> tuple[str, ...]:
    """crun, podman's own choice, doesn't run where cgroups are of both versions."""
    if Path("/run/systemd/system").exists():
        return ()
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    runtime = () if unified else ("--runtime=runc",)
    return ("--cgroup-manager=cgroupfs", "--events-backend=none", *runtime)


@cache
def base(image: str) -> str:
    """The image itself, or the stand-in for it."""
    try:
        podman("pull", "--quiet", image)
        return image
    except Unavailable:
        return _stand_in()


@cache
def _stand_in() -> str:
    try:
        podman("image", "exists", STAND_IN)
    except Unavailable:
        with tempfile.TemporaryDirectory() as folder:
            tar = Path(folder, "debian.tar")
            wanted = ["--variant=minbase", f"--include={PACKAGES}", "bookworm", str(tar)]
            output(["mmdebstrap", "--quiet", *wanted], SECONDS)
            podman("import", "--quiet", tar, STAND_IN)
    return STAND_IN


def build(file: Path, target: str, **arguments: str) -> "Image":
    """Builds a stage of a Dockerfile, after those that it needs; what was built before is kept.

    Raises:
        Unavailable: an instruction failed; the text has its last lines.
    """
    name = f"localhost/sakuga-tests/{file.suffix[1:]}-{target}"
    given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    with tempfile.TemporaryDirectory() as folder:
        mounts = [f"--volume={mount}" for mount in _registries(Path(folder))]
        how = ["--isolation=chroot", "--format=docker", "--layers", "--pull=never", "--quiet"]
        where = ["--file", file, "--target", target, "--tag", name, PROJECT]
        podman("build", *how, *mounts, *given, *where)
    return Image(name)


def _registries(folder: Path) -> Iterator[str]:
    """What pip needs to reach the registries from inside a build as it does here: this machine's
    settings, and the files that they name."""
    listed = output([sys.executable, "-m", "pip", "config", "list"])
    pairs = [line.partition("=")[::2] for line in listed.splitlines() if "=" in line]
    settings = {name.rpartition(".")[2]: value.strip("'\"") for name, value in pairs}
    settings.pop("constraint", None)  # constraints.txt is the project's
    lines = [f"{name} = {value}" for name, value in settings.items()]
    file = folder / "pip.conf"
    file.write_text("\n".join(["[global]", *lines, ""]))
    file.chmod(0o644)
    folder.chmod(0o755)
    yield f"{file}:/etc/pip.conf:ro"
    for value in settings.values():
        for word in value.replace("\\n", " ").split():
            # An index of files leads to packages in the folder above.
            path = Path(word.removeprefix("file://"))
            path = path.parent if word.startswith("file://") else path
            if path.is_absolute() and path.exists():
                yield f"{path}:{path}:ro"


class Image(NamedTuple):
    """An image that was built."""

    name: str

    def inspected(self) -> dict[str, Any]:
        """podman's `image inspect`: what the image's containers get, and more."""
        return dict(json.loads(podman("image", "inspect", self.name))[0])

    def health_command(self) -> list[str]:
        kind, *command = self.inspected()["Healthcheck"]["Test"]
        assert kind == "CMD"
        return list(command)

    def run(self, *command: object) -> str:
        """Runs a command in a container of its own, without a network."""
        how = ["--rm", "--network=none", "--no-healthcheck", *_limits()]
        return podman("run", *how, self.name, *command)


def _limits() -> list[str]:
    """podman asks for more open files than a session in a container may have, and gives itself no
    more processes than there are numbers for."""
    limits = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    hard = {name: resource.getrlimit(limit)[1] for name, limit in limits.items()}
    numbers = int(Path("/proc/sys/kernel/pid_max").read_text())
    hard["nproc"] = min(hard["nproc"], numbers) if hard["nproc"] >= 0 else numbers
    return [f"--ulimit={name}={value}:{value}" for name, value in hard.items()]


class Container(NamedTuple):
    """A container that runs."""

    name: str
    url: str
    """host:port of what it serves, as this machine reaches it."""

    def passes(self, command: list[str]) -> bool:
        try:
            podman("exec", self.name, *command)
        except Unavailable:
            return False
        return True

    def wait_until_healthy(self, check: list[str], seconds: float) -> None:
        """Waits until its health check passes; one that ends, or takes longer, has failed."""
        end = time.monotonic() + seconds
        while not self.passes(check):
            assert self.running(), self.log()
            assert time.monotonic() < end, self.log()

    def log(self) -> str:
        return podman("logs", self.name)

    def written(self) -> str:
        """What it changed of the image's files, one line each."""
        lines = podman("diff", self.name).splitlines()
        # podman changes the folder itself, where it mounts `hosts`; files have their own lines.
        return "\n".join(line for line in lines if line != "C /etc")

    def running(self) -> bool:
        return self._state()["Running"] is True

    def stop(self) -> int:
        """Sends the image's stop signal, and returns the exit status."""
        podman("stop", "--time=60", self.name)
        return int(self._state()["ExitCode"])

    def _state(self) -> dict[str, Any]:
        return dict(json.loads(podman("container", "inspect", self.name))[0]["State"])


HOST = "host.containers.internal"
"""This machine, as containers reach it."""


@contextmanager
def running(
    image: Image,
    port: int,
    inside: int = 8001,
    options: Sequence[str] = (),
    command: Sequence[str] = (),
) -> Iterator[Container]:
    """Runs the image as compose.yaml does.

    Args:
        image: to run.
        port: of this machine.
        inside: the container's port that is published as that.
        options: further ones of podman's.
        command: in place of the image's.
    """
    name = f"sakuga-tests-{os.getpid()}-{port}"
    hardened = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--init=false"]
    room = ["--tmpfs=/tmp:exec,size=2g", "--shm-size=2g"]
    # podman's own health checks need systemd; the test runs the command itself.
    how = ["--detach", f"--name={name}", "--no-healthcheck", *hardened, *room, *_limits()]
    publish = f"--publish=127.0.0.1:{port}:{inside}"
    podman("run", *how, publish, *options, image.name, *command)
    try:
        yield Container(name, f"127.0.0.1:{port}")
    finally:
        podman("rm", "--force", "--time=0", "--volumes", name)
