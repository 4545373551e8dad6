"""How fast a network is here and now: pictures sent through the server, its report read."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sakuga import arrays
from sakuga.triton import Triton
from sakuga_core import protocol

SIDE = 256
MEASURED = {protocol.UNCOUNTED: "measured"}
REGION = [SIDE // 4, SIDE // 4, SIDE // 3, SIDE // 3]


async def measure(triton: Triton, name: str, facts: Mapping[str, Any]) -> str:
    """How long a network takes for a picture of 256², after another one to warm up: of an upscaler
    in milliseconds a megapixel, of others, which see pictures at one size, a picture.

    Args:
        name: of a network that is loaded.
        facts: its entry of `Triton.networks`.

    Raises:
        SakugaError: of the class that fits; see `sakuga_core.errors`.
    """
    model, options, stage = _request(name, facts)
    for _ in range(2):
        reply = await triton.infer(model, picture(), options, about=MEASURED)
    took = reply.report["milliseconds"][stage]
    if facts["kind"] == "upscale":
        return f"{took / SIDE**2 * 1e6:.0f} ms a megapixel"
    return f"{took:.0f} ms a picture"


def _request(name: str, facts: Mapping[str, Any]) -> tuple[str, dict[str, Any], str]:
    """The public model, the options, and the stage of the report that is the network's."""
    if facts["kind"] == "segment":
        return protocol.REMBG, {"model": name}, "network"
    if facts["kind"] == "upscale":
        whole = {"tile_size": SIDE, "scale": min(4, facts["scale"])}
        return protocol.UPSCALE, {"model": name, **whole}, "network"
    options = {"inpaint": name, "regions": [REGION], "restore": False, "detector": "none"}
    return protocol.FIX_ARTIFACTS, {**options, "result": "restored"}, "inpaint"


def picture() -> bytes:
    """A PNG of 256², a gradient with squares: what networks do doesn't depend on it."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    squares = 255 * (x // 32 % 2 ^ y // 32 % 2)
    return arrays.png(np.dstack((x, y, squares)).astype(np.uint8))
