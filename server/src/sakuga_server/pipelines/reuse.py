"""Results of tiles that a request has computed, so that an equal tile isn't computed again.

Frames of drawn animation are held for two or three, their backgrounds stand still, and pages have
wide margins of one colour. A network gives the same for the same window, so its result is copied.
Windows are compared byte by byte, so the picture is the one that computing them all would give.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence

import numpy as np

from sakuga_server.imaging.picture import Array


class Seen:
    """What the result of a tile depends on: equal where that is, sample by sample.

    Args:
        arrays: parts of pictures, which are held, not copied; they must not change any more.
        more: beside them.
    """

    def __init__(self, arrays: Sequence[Array | None], more: Hashable = None) -> None:
        self.arrays = [array for array in arrays if array is not None]
        self.more = (more, *((array.shape, array.dtype.char) for array in self.arrays))
        self._hash = hash((self.more, *(array.tobytes() for array in self.arrays)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Seen) or (self._hash, self.more) != (other._hash, other.more):
            return False
        return all(map(np.array_equal, self.arrays, other.arrays))


Results = dict[Hashable, "asyncio.Future[Array]"]


class Memory:
    """The results of the last frames of a request.

    Args:
        frames: how many; of older ones nothing is held.
    """

    def __init__(self, frames: int = 1) -> None:
        self._frames: deque[Results] = deque(maxlen=frames)

    def frame(self) -> "FrameMemory":
        """What a new frame finds, and adds."""
        own: Results = {}
        self._frames.append(own)
        return FrameMemory(self, own)

    def find(self, key: Hashable) -> "asyncio.Future[Array] | None":
        """The result, or what will be it, of a tile under way."""
        return next((known[key] for known in reversed(self._frames) if key in known), None)


class FrameMemory:
    """What one frame finds in the memory of its request, and adds to it."""

    def __init__(self, memory: Memory, own: Results) -> None:
        self._memory, self._own = memory, own

    async def fill(
        self, key: Hashable, target: Array, compute: Callable[[], Awaitable[None]]
    ) -> None:
        """Fills a part of the frame with a tile's result.

        Args:
            key: equal for tiles whose results are equal.
            target: the part. It is held as the tile's result, so it must not change any more.
            compute: fills it, unless the result is known.
        """
        if known := self._memory.find(key):
            target[...] = await known
            self._own[key] = _finished(target)
            return
        future = self._own[key] = asyncio.get_running_loop().create_future()
        try:
            await compute()
        except asyncio.CancelledError:
            future.cancel()
            raise
        except BaseException as error:
            future.set_exception(error)
            future.exception()  # somebody has looked: this frame raises it, too
            raise
        future.set_result(target)


def _finished(target: Array) -> "asyncio.Future[Array]":
    future: asyncio.Future[Array] = asyncio.get_running_loop().create_future()
    future.set_result(target)
    return future
