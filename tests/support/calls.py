"""Calls past the client's own checks, as a client in another language would make them."""

import json

import numpy as np
from tritonclient.grpc import InferInput

from sakuga.triton import Triton
from sakuga_core.config.server import Server


async def raw(url: str, model: str, image: bytes, options: object) -> None:
    """One request; `options` as JSON, or as the very bytes.

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
            await client.infer(model, inputs)
    finally:
        await triton.close()
