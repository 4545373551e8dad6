"""Calls past the client's own checks, as a client in another language would make them; and what a
server is doing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from tritonclient.grpc import InferInput

from sakuga.triton import Triton
from sakuga_core.config.server import Server


async def raw(url: str, model: str, image: bytes, options: object) -> bytes:
    """One request; `options` as JSON, or as the very bytes.

    Returns:
        The RESULT.

    Raises:
        SakugaError: what the client makes of the server's answer.
    """
    text = options if isinstance(options, bytes) else json.dumps(options).encode()
    inputs = []
    for name, value in (("IMAGE", image), ("OPTIONS", text)):
        tensor = InferInput(name, [1], "BYTES")
        tensor.set_data_from_numpy(np.array([value], dtype=object))
        inputs.append(tensor)
    triton = Triton(Server(url=url, timeout=60))
    try:
        async with triton._connected(model) as client:
            answer = await client.infer(model, inputs)
        return bytes(answer.as_numpy("RESULT")[0])
    finally:
        await triton.close()


@asynccontextmanager
async def until_begun(triton: Triton, network: str) -> AsyncIterator[None]:
    """The block sends a picture; afterwards this waits until its first tile is computed."""

    async def computed() -> float:
        found: float = (await triton.status())["models"][network]["images"]
        return found

    before = await computed()
    yield
    while await computed() == before:
        await asyncio.sleep(0.01)
