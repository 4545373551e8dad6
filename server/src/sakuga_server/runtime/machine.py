"""What this machine has for a server: ports, GPUs, shared memory. All of it is checked before
networks are loaded, which takes long."""

import ctypes
import errno
import logging
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sakuga_core.config.schema import RealESRGAN
from sakuga_core.config.server import Server
from sakuga_core.errors import ConfigError

log = logging.getLogger("sakuga")

LOOPBACK = "127.0.0.1"
# Addresses that mean all of this machine's, and the one of them by which it reaches itself.
EVERYWHERE = {"0.0.0.0": LOOPBACK, "::": "::1"}

# Each Python process has a pool of shared memory for tensors in flight, which grows in steps as
# pictures need; the result of one tile has up to 24 MB.
SHM_START, SHM_GROWTH, SHM_LEAST = 32 * 2**20, 64 * 2**20, 512 * 2**20


def free_port() -> int:
    """A port of this machine that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextmanager
def reserved_port(host: str, port: int = 0) -> Iterator[int]:
    """A port that stays free: until the block ends, only a process of this user that sets
    SO_REUSEPORT, as Triton does, may listen there. So a second server of this port, started while
    the first one loads its networks, finds it in use, and doesn't take the first one for itself.

    Args:
        port: which one; 0: any.

    Raises:
        ConfigError: nobody can listen there.
    """
    if port:
        check_port(host, port)
    family, address = _resolved(host, port)
    with socket.socket(family) as holder:
        # Without SO_REUSEADDR, by which two that don't listen yet could have one port.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            holder.bind(address)
        except OSError:
            if not port:
                raise
            # Connections of another program are being closed; Triton may listen all the same.
        yield port or int(holder.getsockname()[1])


def check_port(host: str, port: int) -> None:
    """
    Raises:
        ConfigError: nobody can listen there.
    """
    try:
        family, address = _resolved(host, port)
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} is in use; `sakuga status` shows whether a server is running already"
            ) from None
        everywhere = " or ".join(EVERYWHERE)
        raise ConfigError(
            f"server.host is {host!r}, the port {port}: {error.strerror}; allowed: an address "
            f"of this machine, or {everywhere}, and a port that this user may take"
        ) from None


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """The family and the address of a host and a port, for IPv4 and IPv6."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return family, address


def check_ports(settings: Server, ports: Sequence[int]) -> None:
    """
    Raises:
        ConfigError: two of the ports are one, or nobody can listen on one of them.
    """
    if len(set(ports)) < len(ports):
        listed = ", ".join(map(str, ports))
        raise ConfigError(f"the ports of gRPC, HTTP and metrics are {listed}; allowed: different")
    for port in ports:
        check_port(settings.host, port)


def near(host: str) -> str:
    """The address by which this machine itself reaches a server that listens on `host`."""
    return EVERYWHERE.get(host, host)


def address(host: str, port: int) -> str:
    """host:port, an IPv6 address in brackets."""
    return f"{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def gpus_here() -> int:
    """How many GPUs the driver shows; none where there is no driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    return 0 if failed else count.value


def check_gpus(requested: list[int], available: int) -> None:
    """
    Raises:
        ConfigError: there are GPUs, but not those that are requested.
    """
    if "CUDA_VISIBLE_DEVICES" in os.environ:  # it goes before the file, and counts anew
        return
    if not available:
        # Only who names other GPUs than the default expects one.
        level = logging.INFO if requested == RealESRGAN().gpu_id else logging.WARNING
        log.log(level, "no GPU on this machine: realesrgan.gpu_id %s means the CPU", requested)
    elif absent := [gpu for gpu in requested if gpu >= available]:
        raise ConfigError(f"realesrgan.gpu_id is {absent[0]}; allowed here: 0 to {available - 1}")


def check_temporary_folder() -> None:
    """
    Raises:
        ConfigError: Triton's Python backend couldn't make its folder, for which it knows no other.
    """
    if not os.access("/tmp", os.W_OK | os.X_OK):
        raise ConfigError(
            "/tmp can't be written to; Triton needs it (a container with a read-only root takes "
            "--tmpfs /tmp:exec)"
        )


def check_shared_memory() -> None:
    """
    Raises:
        ConfigError: there is too little for tensors in flight.
    """
    free = shutil.disk_usage("/dev/shm").free
    if free < SHM_LEAST:
        raise ConfigError(
            f"/dev/shm has {free >> 20} MB free; Triton needs {SHM_LEAST >> 20} MB or more "
            "(a container takes --shm-size=2g)"
        )
