"""The command line and the environment of tritonserver.

The wheel's is version 2.51, which has known holes in its administrative interfaces (CVE-2025-23319,
-23320, -23334), so it listens on loopback unless `server.host` says otherwise, and those interfaces
need a key. Triton takes it as an argument only: who may look at this machine's processes can read
it.
"""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sakuga_core import protocol
from sakuga_core.config.schema import Config
from sakuga_core.config.server import TLS, Server
from sakuga_core.logs import LOG_FORMAT
from sakuga_server.parent_watch import PREFIX
from sakuga_server.runtime.binaries import Binary
from sakuga_server.runtime.machine import SHM_GROWTH, SHM_START, bracketed
from sakuga_server.runtime.workspace import Workspace
from sakuga_server.stderr import FOLDER as STDERR_FOLDER

EXIT_SECONDS = 15  # that Triton takes at most to unload; `following.drain` waits for pictures
RESTRICTED = "shared-memory,model-repository,trace,logging"
# Of HTTP, which has no TLS, and is for probes: only readiness is public.
RESTRICTED_HTTP = f"{RESTRICTED},inference,metadata,model-config,statistics"
# Milliseconds that a connection lasts. Then clients of a name with several addresses look it up
# again, and find servers that are new; calls under way aren't touched.
CONNECTION_AGE = 300_000
# Milliseconds. A client whose machine is gone is detected by a ping each minute; a client may ping
# every ten seconds, also during a long call, in which no data flows.
KEEPALIVE = {
    "keepalive-time": 60_000,
    "keepalive-timeout": 20_000,
    "keepalive-permit-without-calls": 1,
    "http2-max-pings-without-data": 0,
    "http2-min-recv-ping-interval-without-data": 10_000,
}


@dataclass(frozen=True)
class Ports:
    """Where a server listens. This process holds both ports until Triton does; see
    `machine.reserved_port`."""

    grpc: int
    http: int
    http_host: str
    """Its HTTP is open to others only where config.yaml has a port for it."""


@dataclass(frozen=True)
class Launch:
    """What is started."""

    triton: Binary
    workspace: Workspace
    ports: Ports
    models: Iterable[str]
    """To load at the start."""
    key: str = field(repr=False)
    """Of its administration."""


def command(settings: Server, launch: Launch) -> list[str]:
    """tritonserver and its arguments."""
    ports, key = launch.ports, f"{protocol.ADMIN_HEADER}={launch.key}"
    options = {
        "model-repository": launch.workspace.models,
        "backend-directory": launch.triton.backends,
        "model-control-mode": "explicit",
        "strict-readiness": "true",
        "grpc-address": bracketed(settings.host),
        "grpc-port": ports.grpc,
        "reuse-grpc-port": "true",
        "grpc-max-connection-age": CONNECTION_AGE,
        "grpc-restricted-protocol": f"{RESTRICTED}:{key}",
        **{f"grpc-{name}": value for name, value in KEEPALIVE.items()},
        "http-address": _of_http(ports.http_host),
        "http-port": ports.http,
        "reuse-http-port": "true",
        "http-restricted-api": f"{RESTRICTED_HTTP}:{key}",
        "exit-timeout-secs": EXIT_SECONDS,
        "log-info": "false",
        **_tls(settings.tls),
        **_metrics(settings, launch.triton.gpu_metrics),
        **_loading(settings),
    }
    shared_memory = {
        "shm-default-byte-size": SHM_START,
        "shm-growth-byte-size": SHM_GROWTH,
        "shm-region-prefix-name": launch.workspace.prefix,
    }
    return [
        str(launch.triton.program),
        "--disable-auto-complete-config",
        *(f"--{name}={value}" for name, value in options.items()),
        *(f"--trace-config={setting}" for setting in _tracing(settings)),
        *(f"--load-model={model}" for model in launch.models),
        *(f"--backend-config=python,{name}={value}" for name, value in shared_memory.items()),
    ]


def _of_http(host: str) -> str:
    """As Triton's HTTP server wants an address."""
    return f"ipv6:{host}" if ":" in host else host


def _tls(tls: TLS) -> dict[str, object]:
    if tls.certificate is None:
        return {}
    files = {"grpc-server-cert": tls.certificate, "grpc-server-key": tls.key}
    mutual = {"grpc-use-ssl-mutual": "true", "grpc-root-cert": tls.ca} if tls.mutual else {}
    return {"grpc-use-ssl": "true", **files, **mutual}


def _metrics(settings: Server, of_gpus: bool) -> dict[str, object]:
    if settings.metrics_port is None:
        return {"allow-metrics": "false"}
    return {
        "metrics-address": _of_http(settings.host),
        "metrics-port": settings.metrics_port,
        "allow-gpu-metrics": str(of_gpus).lower(),
    }


def _loading(settings: Server) -> dict[str, object]:
    """Building an engine for TensorRT takes cores and gigabytes, so one network is loaded after the
    other."""
    accelerators = {settings.accelerator, *(n.accelerator for n in settings.networks.values())}
    return {"model-load-thread-count": 1} if "tensorrt" in accelerators else {}


def _tracing(settings: Server) -> list[str]:
    if settings.trace_url is None:
        return []
    target = f"opentelemetry,url={settings.trace_url}"
    name = "opentelemetry,resource=service.name=sakuga"
    return ["mode=opentelemetry", target, name, f"rate={settings.trace_rate}", "level=TIMESTAMPS"]


def environment(config: Config, triton: Binary, place: Workspace) -> dict[str, str]:
    """That of Triton and its Python processes."""
    inherited = os.environ.get("LD_LIBRARY_PATH")
    paths = [*map(str, triton.libraries), *([inherited] if inherited else [])]
    # The Python processes take their packages from the first `python` on PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, config.realesrgan.gpu_id)),
        "PYDANTIC_DISABLE_PLUGINS": "1",  # looking for some takes each process 30 ms
        **os.environ,
        "PATH": path,
        **({"LD_LIBRARY_PATH": os.pathsep.join(paths)} if paths else {}),
        PREFIX: place.prefix,
        LOG_FORMAT: config.server.log_format,
        STDERR_FOLDER: str(place.stderr),
    }
