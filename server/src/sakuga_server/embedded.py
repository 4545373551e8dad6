"""A real Triton without a container: starts the tritonserver that the nvidia-pytriton wheel holds.

It is version 2.51, which has known holes in its administrative interfaces (CVE-2025-23319, -23320,
-23334), so it listens on loopback only, and those interfaces need a key: $SAKUGA_ADMIN_KEY, or one
that is made up for each start. Triton takes it as an argument only: who may look at this machine's
processes can read it.
"""

import ctypes
import importlib.util
import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from sakuga.config import Config, Server
from sakuga.errors import ConfigError, ServerError
from sakuga.triton import ADMIN_KEY
from sakuga_server import backends
from sakuga_server.placement import optional, servable, wanted

log = logging.getLogger("sakuga")

HOST = "127.0.0.1"
START_SECONDS = 120
STOP_SECONDS = 30
RESTRICTED = "shared-memory,model-repository,trace,logging"

# Each Python instance has a pool of shared memory for tensors in flight; it grows in steps as
# pictures need; the result of one tile has up to 24 MB.
SHM_START, SHM_GROWTH, SHM_LEAST = 32 * 2**20, 64 * 2**20, 512 * 2**20

# Should this process be killed hard, Linux ends Triton too: prctl(PR_SET_PDEATHSIG, SIGTERM). Done
# by a process of its own: `preexec_fn` would fork this one, and gRPC's threads don't survive that.
END_WITH_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.execv(sys.argv[1], sys.argv[1:])"
)


@dataclass(frozen=True)
class Embedded:
    """A running server."""

    url: str
    models: list[str]
    """Triton's models that were loaded at the start."""
    process: subprocess.Popen[bytes]
    key: str = field(repr=False)
    """Of its administrative interfaces; see `sakuga.triton.Triton`."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def run_triton(
    config: Config, port: int, log: TextIO | None = None, models: Sequence[str] = ()
) -> Iterator[Embedded]:
    """Starts Triton, waits until it serves, and stops it when the block ends.

    Triton ends with the thread that called this, too, should that be killed.

    Args:
        config: tells the repository, the further ports and the GPUs.
        port: of gRPC, on loopback.
        log: where Triton's own warnings and errors go; left out, standard error.
        models: Triton's models to load at the start; left out, what config.yaml wants.

    Raises:
        ConfigError: the repository has nothing to serve, the port is taken, or a part of Triton is
            missing on this machine.
        ServerError: Triton ended, or wasn't ready within two minutes.
    """
    repository = config.server.repository
    models = list(models) or wanted(config)
    if not set(servable(repository)) & set(optional(repository)):
        raise ConfigError(f"the repository {repository} has no network; run `sakuga-export` first")
    _check_port(port)
    _check_shared_memory()
    check_gpus(config.realesrgan.gpu_id, gpus_here())
    with tempfile.TemporaryDirectory(prefix="sakuga-") as folder:
        _assemble_backends(Path(folder))
        key = os.environ.get(ADMIN_KEY) or secrets.token_urlsafe()
        command = _command(config.server, models, Path(folder), port, key)
        process = subprocess.Popen(
            command,
            env=_environment(config),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends Triton
        )
        relay = _Relay(process, log or sys.stderr)
        try:
            _wait(process, port, relay)
            yield Embedded(f"{HOST}:{port}", models, process, key)
        finally:
            _stop(process)
            relay.join(STOP_SECONDS)  # a stub that outlives Triton may hold the log open


def _wheel() -> Path:
    found = importlib.util.find_spec("pytriton")
    if found is None or found.origin is None:
        raise ConfigError(
            "the embedded server isn't installed; `pip install 'sakuga-server[embedded]'`"
        )
    return Path(found.origin).parent / "tritonserver"


def _assemble_backends(folder: Path) -> None:
    """The backend directory: the wheel's Python backend with our Python's stub, and stand-ins."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = _wheel() / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.exists():
        raise ConfigError(f"Triton's wheel has no stub for Python {version}")
    shutil.copytree(_wheel() / "backends" / "python", folder / "python")
    shutil.copy(stub, folder / "python")
    for stand_in in Path(backends.__file__).parent.glob("*/model.py"):
        shutil.copytree(stand_in.parent, folder / stand_in.parent.name)


def _command(settings: Server, models: list[str], backends: Path, port: int, key: str) -> list[str]:
    options = {
        "model-repository": settings.repository,
        "backend-directory": backends,
        "model-control-mode": "explicit",
        "strict-readiness": "true",
        "grpc-address": HOST,
        "grpc-port": port,
        "grpc-restricted-protocol": f"{RESTRICTED}:admin={key}",
        "http-restricted-api": f"{RESTRICTED}:admin={key}",
        "exit-timeout-secs": STOP_SECONDS - 5,
        "log-info": "false",
        "allow-gpu-metrics": "false",
        **_door("http", settings.http_port),
        **_door("metrics", settings.metrics_port),
    }
    shm = {"shm-default-byte-size": SHM_START, "shm-growth-byte-size": SHM_GROWTH}
    return [
        *(sys.executable, "-c", END_WITH_PARENT),
        str(_wheel() / "bin" / "tritonserver"),
        "--disable-auto-complete-config",
        *(f"--{name}={value}" for name, value in options.items()),
        *(f"--load-model={model}" for model in models),
        *(f"--backend-config=python,{name}={value}" for name, value in shm.items()),
    ]


def _door(name: str, port: int | None) -> dict[str, object]:
    if port is None:
        return {f"allow-{name}": "false"}
    return {f"allow-{name}": "true", f"{name}-address": HOST, f"{name}-port": port}


def _environment(config: Config) -> dict[str, str]:
    python = Path(str(sysconfig.get_config_var("LIBDIR")))
    libraries = [_wheel().parents[1] / "nvidia_pytriton.libs", python]
    inherited = os.environ.get("LD_LIBRARY_PATH")
    paths = [*map(str, libraries), *([inherited] if inherited else [])]
    # The stub takes its packages from the first `python` on PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, config.realesrgan.gpu_id)),
        **os.environ,
        "PATH": path,
        "LD_LIBRARY_PATH": os.pathsep.join(paths),
    }


def gpus_here() -> int:
    """How many GPUs the driver shows; none where there is no driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    return 0 if failed else count.value


def check_gpus(asked: list[int], there: int) -> None:
    """
    Raises:
        ConfigError: there are GPUs, but not those that are asked for.
    """
    if "CUDA_VISIBLE_DEVICES" in os.environ:  # it goes before the file, and counts anew
        return
    if not there:
        log.warning("no GPU on this machine: realesrgan.gpu_id %s means the CPU", asked)
    elif absent := [gpu for gpu in asked if gpu >= there]:
        raise ConfigError(f"realesrgan.gpu_id is {absent[0]}; allowed here: 0 to {there - 1}")


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise ConfigError(
                f"port {port} is in use; is a server running already? `sakuga status` tells"
            ) from None


class _Relay(threading.Thread):
    """Passes Triton's log on, line by line, without what it says of a machine that has no GPU."""

    HARMLESS = ("CudaDriverHelper", "pinned_memory_manager", "unable to create stream", "Signal (")

    def __init__(self, process: subprocess.Popen[bytes], target: TextIO) -> None:
        super().__init__(daemon=True)
        self.source, self.target, self.last = process.stdout, target, ""
        self.start()

    def run(self) -> None:
        for raw in self.source or ():
            line = raw.decode(errors="replace")
            if not any(word in line for word in self.HARMLESS):
                self.last = line.strip() or self.last
                self.target.write(line)
                self.target.flush()


def _check_shared_memory() -> None:
    free = shutil.disk_usage("/dev/shm").free
    if free < SHM_LEAST:
        raise ConfigError(
            f"/dev/shm has {free >> 20} MB free; Triton needs {SHM_LEAST >> 20} MB or more "
            "(a container takes --shm-size=2g)"
        )


def _wait(process: subprocess.Popen[bytes], port: int, relay: _Relay) -> None:
    """Until gRPC's port opens, which Triton does once every model is loaded."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            relay.join()
            raise ServerError(f"Triton ended before it served: {relay.last or 'no reason given'}")
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    raise ServerError(f"Triton wasn't ready within {START_SECONDS} seconds")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Lets running pictures finish, within reason."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
