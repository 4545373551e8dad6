"""Transports: how pictures come to a server, and results back. There are two: `sakuga.triton`, gRPC
to Triton itself, and `sakuga.http`, HTTP to a gateway."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

from sakuga.reply import Reply
from sakuga.retry import Deadline
from sakuga.sent import NOTHING
from sakuga.streaming import OnProgress
from sakuga_core import protocol
from sakuga_core.actions import Action
from sakuga_core.config.schema import Config


def is_http(url: object) -> bool:
    """Whether that is the address of a gateway."""
    return isinstance(url, str) and url.lower().startswith(("http://", "https://"))


class Transport(ABC):
    """A connection to a server, used from one event loop."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The address as configured, for messages."""

    @abstractmethod
    def options_for(
        self, config: Config, action: Action, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The options to send, of a configuration and a request.

        Raises:
            BadOption: one of the request is unknown or not allowed.
        """

    @abstractmethod
    async def run(
        self,
        action: Action,
        image: bytes,
        options: Mapping[str, Any],
        deadline: Deadline | None = None,
        on_progress: OnProgress | None = None,
    ) -> Reply:
        """Has an action applied to one picture.

        Args:
            action: its row.
            image: an encoded file.
            options: as `options_for` gives them.
            deadline: by when; if unset, `server.timeout` from now.
            on_progress: called in this event loop; never, where the server doesn't tell.

        Raises:
            SakugaError: of the class that fits; see `sakuga_core.errors`.
            Exception: whatever `on_progress` raises, which ends the work.
        """

    @abstractmethod
    async def networks(self) -> dict[str, dict[str, Any]]:
        """What the server lists of each network, by name: `sakuga_core.networks.facts.Listing`, and
        `installed`, `loaded`, `megabytes` (of its file) and `memory` (in MB)."""

    @abstractmethod
    async def status(self) -> dict[str, Any]:
        """The server's address, version and readiness, and the statistics of each loaded model
        where the server tells them."""

    @abstractmethod
    async def close(self) -> None:
        """Ends the connection."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


class ModelTransport(Transport):
    """A transport to Triton's models: each action is a call of one of them."""

    def options_for(
        self, config: Config, action: Action, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        """All options: pipelines have no configuration of their own."""
        return config.options_for(action.name, request)

    async def run(
        self,
        action: Action,
        image: bytes,
        options: Mapping[str, Any],
        deadline: Deadline | None = None,
        on_progress: OnProgress | None = None,
    ) -> Reply:
        """One picture to the Triton model of the action; see `Transport.run`."""
        about = {protocol.ACTION: action.name.value}
        return await self.infer(action.triton_model, image, options, deadline, on_progress, about)

    @abstractmethod
    async def infer(
        self,
        model: str,
        image: bytes,
        options: Mapping[str, Any],
        deadline: Deadline | None = None,
        on_progress: OnProgress | None = None,
        about: Mapping[str, str] = NOTHING,
    ) -> Reply:
        """Sends one encoded picture to a public model.

        Args:
            about: request parameters of the protocol, for the server's metrics.
        """
