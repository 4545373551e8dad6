"""What is sent to a Triton model, and what the server's logs and metrics know of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sakuga.retry import Attempts
from sakuga_core import protocol

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Sent:
    """A request, as it is sent once or several times."""

    inputs: Mapping[str, bytes]
    """Tensors, by name."""
    attempts: Attempts | None = None
    """Of a picture."""
    about: Mapping[str, str] = field(default_factory=dict)
    """Request parameters of the protocol."""

    @property
    def parameters(self) -> dict[str, str | int]:
        """Those of the attempt that is made now."""
        if self.attempts is None:
            return {}
        sent = time.time_ns() // 1000
        return {**self.about, protocol.ATTEMPT: self.attempts.made + 1, protocol.SENT: sent}
