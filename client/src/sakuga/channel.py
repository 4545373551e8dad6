"""How gRPC's channels are set up, and when a replaced one is closed."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import grpc

from sakuga_core.config.server import TLS
from sakuga_core.errors import ConfigError

# gRPC's default of 4 MB is less than one upscaled picture; protobuf can't carry more than this.
MAX_MESSAGE_BYTES = 2**31 - 1

# Milliseconds without a sign of life after which the server is pinged, and that it has to answer.
# A server accepts pings at most every five minutes unless it is configured otherwise; more would
# end the connection ("too_many_pings").
KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS = 305_000, 20_000

# `channel_args` replaces all of tritonclient's defaults, so the message lengths stand here again.
# Where a name has several addresses, calls go round those that answer.
CHANNEL_ARGS: list[tuple[str, Any]] = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.primary_user_agent", "sakuga"),
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_MS),  # which the one above doesn't shorten
    # A server that comes back is found again within seconds, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
]


class Closable(Protocol):
    async def close(self) -> object: ...


Client = TypeVar("Client", bound=Closable)


@dataclass
class Connection(Generic[Client]):
    """A client of a channel, and how many calls use it: a replaced one is closed after the last."""

    client: Client
    calls: int = 0
    replaced: bool = False

    @asynccontextmanager
    async def used(self) -> AsyncIterator[Client]:
        self.calls += 1
        try:
            yield self.client
        finally:
            self.calls -= 1
            await self._close_if_done()

    async def replace(self) -> None:
        self.replaced = True
        await self._close_if_done()

    async def _close_if_done(self) -> None:
        if self.replaced and not self.calls:
            await self.client.close()


def credentials(tls: TLS) -> Any:
    """gRPC's credentials; None without TLS.

    Raises:
        ConfigError: a file can't be read.
    """
    if tls.ca is None:
        return None
    files = (None if tls.of_system else tls.ca, tls.key, tls.certificate)
    return grpc.ssl_channel_credentials(*map(_read, files))


def _read(file: Path | None) -> bytes | None:
    try:
        return file.read_bytes() if file else None
    except OSError as error:
        raise ConfigError(f"server.tls: {file} can't be read ({error.strerror})") from error
