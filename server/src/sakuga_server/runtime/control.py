"""Control of a running Triton over its HTTP interface: models, statistics, readiness.

Only the standard library is used, on loopback, so that the server needs no gRPC client.
"""

import asyncio
import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple

from sakuga_core import protocol
from sakuga_core.errors import (
    ModelNotLoaded,
    PermissionDenied,
    SakugaError,
    ServerError,
    ServerUnavailable,
    says_not_loaded,
)

LOAD_SECONDS = 600  # that loading a model may take: TensorRT builds engines meanwhile


class Control(NamedTuple):
    """A server's administration.

    Args:
        host: of its HTTP interface.
        port: likewise.
        key: of its restricted interfaces.
    """

    host: str
    port: int
    key: str

    async def images(self) -> dict[str, int]:
        """How many images each loaded model has processed, by its name."""
        answer = await self._call("GET", "models/stats")
        return {model["name"]: model["inference_count"] for model in answer["model_stats"]}

    async def load(self, model: str) -> None:
        """Loads a model, or loads it again where its files changed; returns once it is ready."""
        await self._call("POST", f"repository/models/{model}/load")

    async def unload(self, model: str) -> None:
        """Unloads a model: it takes no more requests, and ends after those in flight."""
        await self._call("POST", f"repository/models/{model}/unload")

    async def report_healed(self) -> None:
        """Has `networks` count what was healed; see `healed`."""
        await self._call("POST", f"models/{protocol.NETWORKS}/infer", '{"inputs": []}')

    async def states(self) -> dict[str, str]:
        """Triton's word for the state of each model that was ever loaded: READY, UNLOADING, …"""
        index = await self._call("POST", "repository/index")
        return {model["name"]: model["state"] for model in index if model.get("state")}

    async def unloading(self) -> list[str]:
        """The models that were unloaded, and still have requests in flight."""
        return [name for name, state in (await self.states()).items() if state == "UNLOADING"]

    async def _call(self, method: str, path: str, body: str = "{}") -> Any:
        """
        Raises:
            SakugaError: ServerUnavailable, ModelNotLoaded, PermissionDenied or ServerError.
        """
        return await asyncio.to_thread(self._request, method, path, body)

    def _request(self, method: str, path: str, body: str) -> Any:
        connection = HTTPConnection(self.host, self.port, timeout=LOAD_SECONDS)
        sent, headers = (body if method == "POST" else None), {protocol.ADMIN_HEADER: self.key}
        try:
            connection.request(method, f"/v2/{path}", sent, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException) as error:
            raise ServerUnavailable(f"Triton doesn't answer: {error}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise _failure(response.status, content)
        return json.loads(content) if content else {}


def _failure(status: int, content: bytes) -> SakugaError:
    text = content.decode(errors="replace")
    try:
        answer = json.loads(text)
        text = str(answer["error"]) if isinstance(answer, Mapping) else text
    except (ValueError, KeyError):
        pass
    if status == 403:
        return PermissionDenied(text)
    return ModelNotLoaded(text) if says_not_loaded(text) else ServerError(text)
