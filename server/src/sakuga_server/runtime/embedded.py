"""Starts a real Triton, and ends it: that of the nvidia-pytriton wheel, or of a container.

Between this process and Triton stands a guard (`guard.py`), so that nothing of Triton is left
behind, however either of them ends.
"""

import os
import secrets
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TextIO

from sakuga_core import protocol
from sakuga_core.config.schema import Config
from sakuga_core.config.server import Server
from sakuga_core.errors import ConfigError, ServerError
from sakuga_server import cuda
from sakuga_server.runtime import guard, machine
from sakuga_server.runtime.binaries import binary
from sakuga_server.runtime.command import EXIT_SECONDS, Launch, Ports, command, environment
from sakuga_server.runtime.control import Control
from sakuga_server.runtime.machine import free_port
from sakuga_server.runtime.placement import optional, servable, wanted
from sakuga_server.runtime.relay import Relay
from sakuga_server.runtime.repository import bring_up
from sakuga_server.runtime.supervision import Supervisor
from sakuga_server.runtime.workspace import Workspace, tritons_folders, workspace

__all__ = ["Embedded", "free_port", "run_triton"]

MARGIN_SECONDS = 5  # that Triton may take to end beyond its own time


@dataclass(frozen=True)
class Embedded:
    """A running server."""

    url: str
    """Of gRPC."""
    models: list[str]
    """Triton's models that were loaded at the start."""
    process: "subprocess.Popen[bytes]"
    """The guard, whose status is Triton's."""
    repository: Path
    """The runtime repository."""
    control: Control = field(repr=False)
    """Of its administrative interfaces."""
    supervisor: Supervisor
    """Of its processes."""

    @property
    def key(self) -> str:
        """Of its administrative interfaces."""
        return self.control.key


@contextmanager
def run_triton(
    config: Config,
    port: int = 0,
    log: TextIO | None = None,
    models: Sequence[str] = (),
    *,
    finish: bool = False,
) -> Iterator[Embedded]:
    """Starts Triton, waits until it serves, and stops it when the block ends. Meanwhile what dies
    of its processes is started again.

    Args:
        config: names the model repository, the ports and the GPUs.
        port: of gRPC, on `server.host`; 0: a free one.
        log: where Triton's warnings and errors go; if unset, standard error.
        models: Triton's models to load at the start, as far as they can be served; if empty, what
            config.yaml names.
        finish: whether it ends after its requests in flight and its models' own clearing up, which
            takes seconds, and sends the last traces; else at once.

    Raises:
        ConfigError: the repository has nothing to serve, a port is taken, or a part of Triton or a
            place for its files is missing on this machine.
        ServerError: Triton ended, or wasn't ready within `server.start_timeout`.
    """
    machine.check_shared_memory()
    machine.check_temporary_folder()
    machine.check_gpus(config.realesrgan.gpu_id, cuda.count())
    with workspace() as place, ExitStack() as reserved:
        bring_up(place.models, config)
        launch = _launch(config, place, _ports(config.server, port, reserved), models)
        before = tritons_folders()
        process = _started(config, launch)
        relay, supervisor = Relay(process, log or sys.stderr, config.server.log_format), None
        try:
            adopt = partial(place.adopt, before)
            _wait(process, config.server, launch.ports.grpc, relay, adopt)
            reserved.close()
            url = machine.address(_near(config.server), launch.ports.grpc)
            control = Control(machine.near(launch.ports.http_host), launch.ports.http, launch.key)
            again = partial(_models, config, place.models, models)
            seconds = config.server.exit_timeout
            supervisor = Supervisor(process, control, place, again, seconds, relay.say)
            supervisor.start()
            loaded = list(launch.models)
            yield Embedded(url, loaded, process, place.models, control, supervisor)
        finally:
            if supervisor:
                supervisor.stop()
            if finish:
                _terminate(process)
            _kill(process)
            relay.join(MARGIN_SECONDS)


def _launch(config: Config, place: Workspace, ports: Ports, models: Sequence[str]) -> Launch:
    possible = servable(place.models)
    if not set(possible) & set(optional(place.models)):
        raise ConfigError(
            f"the repository {config.server.repository} has no network; run `sakuga export` first"
        )
    chosen = _models(config, place.models, models)
    for folder in (place.backends, place.stderr):
        folder.mkdir()
    key = os.environ.get(protocol.ADMIN_KEY) or secrets.token_urlsafe()
    return Launch(binary(place.backends), place, ports, chosen, key)


def _models(config: Config, repository: Path, models: Sequence[str]) -> list[str]:
    """Which to load: these, as far as they can be, or what config.yaml names."""
    return [name for name in servable(repository) if name in models] or wanted(config, repository)


def _ports(settings: Server, port: int, reserved: ExitStack) -> Ports:
    """Where it will listen; what is taken is found now, and the rest reserved."""
    fixed = (port or None, settings.http_port, settings.metrics_port)
    machine.check_ports(settings, [each for each in fixed if each])
    host = settings.host if settings.http_port else machine.LOOPBACK
    grpc = reserved.enter_context(machine.reserved_port(settings.host, port))
    http = reserved.enter_context(machine.reserved_port(host, settings.http_port or 0))
    return Ports(grpc, http, host)


def _started(config: Config, launch: Launch) -> "subprocess.Popen[bytes]":
    """The guard, which runs Triton."""
    place = launch.workspace
    return subprocess.Popen(
        [
            *(sys.executable, "-I", guard.__file__, place.prefix, str(place.folder)),
            *command(config.server, launch),
        ],
        env=environment(config, launch.triton, place),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C reaches this process alone, which then ends Triton
        pass_fds=(place.lock,),
    )


def _near(settings: Server) -> str:
    """The address by which this machine itself reaches the server's gRPC."""
    if settings.tls.certificate:
        return "localhost"  # which the certificate has to name
    return machine.near(settings.host)


def _wait(
    process: "subprocess.Popen[bytes]",
    settings: Server,
    port: int,
    relay: Relay,
    look: Callable[[], object],
) -> None:
    """Until gRPC's port opens, which Triton does once every model is loaded.

    Args:
        look: is called again and again meanwhile.
    """
    ended = os.pidfd_open(process.pid)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    end = time.monotonic() + settings.start_timeout
    try:
        while time.monotonic() < end:
            look()
            with suppress(OSError):
                socket.create_connection((_near(settings), port), 1).close()
                return
            if poll.poll(20):
                relay.join(MARGIN_SECONDS)
                reason = relay.last or "no reason given"
                raise ServerError(f"Triton ended before it served: {reason}")
    finally:
        os.close(ended)
    raise ServerError(
        f"Triton wasn't ready within server.start_timeout, {settings.start_timeout:g} seconds"
    )


def _terminate(process: "subprocess.Popen[bytes]") -> None:
    """Ends Triton after its requests in flight, unless that takes too long."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(EXIT_SECONDS + MARGIN_SECONDS)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Ends what is left, at once."""
    assert process.stdin
    with suppress(OSError):
        process.stdin.close()  # which is the guard's sign
    process.wait()
