"""Whether a server still does its work: every pipeline is sent tiny pictures, one for each of its
processes."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sakuga import arrays
from sakuga.reply import Reply
from sakuga.retry import Deadline
from sakuga.triton import Triton
from sakuga_core import errors, protocol
from sakuga_core.actions import find, programs
from sakuga_core.config.schema import Config

SIDE = 8
TILE = 32  # the smallest there is, for little work
PROBE = {protocol.UNCOUNTED: "probe"}
# A busy model is as it should be, and one that was unloaded meanwhile isn't missed.
FINE = (errors.DeadlineExceeded, errors.Overloaded, errors.ModelNotLoaded, errors.Cancelled)


@dataclass(frozen=True)
class Check:
    """What a model did."""

    model: str
    """Triton's."""
    seconds: float
    error: errors.SakugaError | None = None
    """Of one of its processes that gave no picture: a fault, if there is one."""

    @property
    def is_fault(self) -> bool:
        """Whether the model can't do its work, not even later."""
        return self.error is not None and not isinstance(self.error, FINE)


async def check(triton: Triton, config: Config, seconds: float) -> list[Check]:
    """Calls each public model that is loaded as often as it has processes, all at once.

    Args:
        triton: the server; its `retries` should be 0.
        config: names the network of each action.
        seconds: that each call may take.

    Raises:
        SakugaError: the server doesn't answer at all.
    """
    models = sorted(filter(_is_called, (await triton.status())["models"]))
    calls = (_checked(triton, model, config, seconds) for model in models)
    return await asyncio.gather(*calls)


def _is_called(model: str) -> bool:
    """Whether it has processes of its own, which ensembles haven't, and takes pictures."""
    return model in (*programs(), *map(protocol.streaming, programs()))


def _request(model: str, config: Config) -> tuple[bytes, dict[str, Any]]:
    """A picture and options that cost a model little work."""
    action = find(model.removesuffix(protocol.STREAM))
    small = {"tile_size": TILE} if "tile_size" in action.options.model_fields else {}
    return _picture(), {**config.options_for(action.name), **small}


async def _checked(triton: Triton, model: str, config: Config, seconds: float) -> Check:
    start, deadline = time.monotonic(), Deadline(seconds)
    name, request = model.removesuffix(protocol.STREAM), _request(model, config)
    progress = (lambda _: None) if name != model else None
    try:
        count = await triton.instances(model)
    except errors.SakugaError as error:
        return Check(model, time.monotonic() - start, error)
    calls = (triton.infer(name, *request, deadline, progress, PROBE) for _ in range(count))
    failed = [each for each in await asyncio.gather(*map(_failure, calls)) if each]
    failed.sort(key=lambda error: isinstance(error, FINE))
    return Check(model, time.monotonic() - start, failed[0] if failed else None)


async def _failure(call: Awaitable[Reply]) -> errors.SakugaError | None:
    """The error of a call, unless it is a refusal: who refuses a picture is alive."""
    try:
        await call
    except errors.BadInput:
        return None
    except errors.SakugaError as error:
        return error
    return None


def _picture() -> bytes:
    """A PNG of no single colour, which a network would be spared."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    return arrays.png(np.dstack((x, y, x ^ y)).astype(np.uint8) * (255 // SIDE))
