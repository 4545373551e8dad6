"""Starts a real Triton, and ends it: that of the nvidia-pytriton wheel, or of a container.

The wheel's is version 2.51, which has known holes in its administrative interfaces (CVE-2025-23319,
-23320, -23334), so it listens on loopback unless `server.host` says otherwise, and those interfaces
need a key: $SAKUGA_ADMIN_KEY, or one that is made up for each start. Triton takes it as an argument
only: who may look at this machine's processes can read it.
"""

import ctypes
import errno
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from sakuga.triton import ADMIN_KEY
from sakuga_core.config.schema import Config
from sakuga_core.config.server import TLS, Server
from sakuga_core.errors import ConfigError, ServerError
from sakuga_server.runtime.binaries import Binary, binary
from sakuga_server.runtime.placement import optional, servable, wanted

log = logging.getLogger("sakuga")

LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"
EXIT_SECONDS = 15  # that Triton takes at most to unload; `following.drain` waits for pictures
MARGIN_SECONDS = 5  # that Triton may take to end after that
RESTRICTED = "shared-memory,model-repository,trace,logging"
# Of HTTP, which has no TLS, and is for probes: whether it is ready is all that is told without key.
RESTRICTED_HTTP = f"{RESTRICTED},inference,metadata,model-config,statistics"
# Milliseconds that a connection lasts. Then clients of a name with several addresses look it up
# again, and find servers that are new; calls under way aren't touched.
CONNECTION_AGE = 300_000

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
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextmanager
def run_triton(
    config: Config, port: int, log: TextIO | None = None, models: Sequence[str] = ()
) -> Iterator[Embedded]:
    """Starts Triton, waits until it serves, and stops it when the block ends.

    Triton ends with the thread that called this, too, should that be killed.

    Args:
        config: tells the repository, the further ports and the GPUs.
        port: of gRPC, on `server.host`.
        log: where Triton's own warnings and errors go; left out, standard error.
        models: Triton's models to load at the start; left out, what config.yaml wants.

    Raises:
        ConfigError: the repository has nothing to serve, the port is taken, or a part of Triton is
            missing on this machine.
        ServerError: Triton ended, or wasn't ready within `server.start_timeout`.
    """
    repository = config.server.repository
    models = list(models) or wanted(config)
    if not set(servable(repository)) & set(optional(repository)):
        raise ConfigError(f"the repository {repository} has no network; run `sakuga-export` first")
    settings = config.server
    check_port(settings.host, port)
    _check_shared_memory()
    check_gpus(config.realesrgan.gpu_id, gpus_here())
    with tempfile.TemporaryDirectory(prefix="sakuga-") as folder:
        triton = binary(Path(folder))
        key = os.environ.get(ADMIN_KEY) or secrets.token_urlsafe()
        process = subprocess.Popen(
            _command(settings, models, triton, port, key),
            env=_environment(config, triton),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends Triton
        )
        relay = _Relay(process, log or sys.stderr)
        try:
            _wait(process, settings, port, relay)
            yield Embedded(f"{_near(settings)}:{port}", models, process, key)
        finally:
            _stop(process, EXIT_SECONDS + MARGIN_SECONDS)
            relay.join(MARGIN_SECONDS)  # a stub that outlives Triton may hold the log open


def _command(settings: Server, models: list[str], triton: Binary, port: int, key: str) -> list[str]:
    options = {
        "model-repository": settings.repository,
        "backend-directory": triton.backends,
        "model-control-mode": "explicit",
        "strict-readiness": "true",
        "grpc-address": settings.host,
        "grpc-port": port,
        "grpc-max-connection-age": CONNECTION_AGE,
        "grpc-restricted-protocol": f"{RESTRICTED}:admin={key}",
        "http-restricted-api": f"{RESTRICTED_HTTP}:admin={key}",
        "exit-timeout-secs": EXIT_SECONDS,
        "log-info": "false",
        "allow-gpu-metrics": str(triton.gpu_metrics).lower(),
        **_tls(settings.tls),
        **_door("http", settings.host, settings.http_port),
        **_door("metrics", settings.host, settings.metrics_port),
    }
    shm = {"shm-default-byte-size": SHM_START, "shm-growth-byte-size": SHM_GROWTH}
    return [
        *(sys.executable, "-c", END_WITH_PARENT),
        str(triton.program),
        "--disable-auto-complete-config",
        *(f"--{name}={value}" for name, value in options.items()),
        *(f"--trace-config={setting}" for setting in _tracing(settings)),
        *(f"--load-model={model}" for model in models),
        *(f"--backend-config=python,{name}={value}" for name, value in shm.items()),
    ]


def _tls(tls: TLS) -> dict[str, object]:
    if tls.certificate is None:
        return {}
    files = {"grpc-server-cert": tls.certificate, "grpc-server-key": tls.key}
    mutual = {"grpc-use-ssl-mutual": "true", "grpc-root-cert": tls.ca} if tls.mutual else {}
    return {"grpc-use-ssl": "true", **files, **mutual}


def _door(name: str, host: str, port: int | None) -> dict[str, object]:
    if port is None:
        return {f"allow-{name}": "false"}
    return {f"allow-{name}": "true", f"{name}-address": host, f"{name}-port": port}


def _tracing(settings: Server) -> list[str]:
    if settings.trace_url is None:
        return []
    ours = f"opentelemetry,url={settings.trace_url}"
    name = "opentelemetry,resource=service.name=sakuga"
    return ["mode=opentelemetry", ours, name, f"rate={settings.trace_rate}", "level=TIMESTAMPS"]


def _environment(config: Config, triton: Binary) -> dict[str, str]:
    inherited = os.environ.get("LD_LIBRARY_PATH")
    paths = [*map(str, triton.libraries), *([inherited] if inherited else [])]
    # The stub takes its packages from the first `python` on PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, config.realesrgan.gpu_id)),
        **os.environ,
        "PATH": path,
        **({"LD_LIBRARY_PATH": os.pathsep.join(paths)} if paths else {}),
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


def _near(settings: Server) -> str:
    """The address by which this machine itself reaches the server."""
    if settings.tls.certificate:
        return "localhost"  # which the certificate has to name
    return LOOPBACK if settings.host == EVERYWHERE else settings.host


def check_port(host: str, port: int) -> None:
    """
    Raises:
        ConfigError: nobody can listen there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigError(
                    f"port {port} is in use; is a server running already? `sakuga status` tells"
                ) from None
            raise ConfigError(
                f"server.host is {host!r}, the port {port}: {error.strerror}; allowed: an address "
                f"of this machine, or {EVERYWHERE}, and a port that this user may take"
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


def _wait(process: subprocess.Popen[bytes], settings: Server, port: int, relay: _Relay) -> None:
    """Until gRPC's port opens, which Triton does once every model is loaded."""
    end = time.monotonic() + settings.start_timeout
    while time.monotonic() < end:
        if process.poll() is not None:
            relay.join()
            raise ServerError(f"Triton ended before it served: {relay.last or 'no reason given'}")
        with socket.socket() as probe:
            if probe.connect_ex((_near(settings), port)) == 0:
                return
        time.sleep(0.05)
    raise ServerError(
        f"Triton wasn't ready within server.start_timeout, {settings.start_timeout:g} seconds"
    )


def _stop(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Ends Triton, and what it started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    # Where Triton was killed, one of its Python processes may wait for it for ever.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
