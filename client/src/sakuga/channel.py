"""How gRPC's channels are set up."""

import json
from pathlib import Path
from typing import Any

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
    # A server that comes back is found again within seconds, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5000),
]


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
