"""Tiles, and whole images, that take a CPU long are computed in the background.

A Python process of Triton's takes one batch after the other, so behind a tile of half a minute
everybody would wait. Here the call for such a tile returns at once, without a result, and is
repeated until there is one. Between two of these calls others get through, and whoever's caller has
gone is given up. Triton's native backends know nothing of that, and answer the first call.
"""

import math
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np

from sakuga_core import protocol
from sakuga_server.backends.engines import Engine
from sakuga_server.imaging.picture import Array

# Multiply-accumulates of a tile, in 10^9, up to which it is computed at once; a core does about 50
# a second. Beyond that, each range has a lane, where one tile at a time is computed. The lanes
# share the cores, so that none waits for the tiles of a longer one.
AT_ONCE = 50.0
LANES = (500.0, math.inf)

# By which the lanes' threads give way: they get a fourth of a core that short tiles want, too.
NICE = 5

# Seconds after which a tile that nobody asks for is given up.
ABANDONED = 10.0

Results = dict[str, Array]


class Lane:
    """Computes one tile after the other, by an engine of its own."""

    def __init__(self, load: Callable[[], Engine]) -> None:
        self.load = load
        self.engine: Engine | None = None
        self.current: Tile | None = None
        self.lock = Lock()
        self.pool = ThreadPoolExecutor(1, "lane", _give_way)

    def compute(self, tile: "Tile", names: Sequence[str], feed: Mapping[str, Array]) -> Results:
        """The outputs of a tile, for the lane's own thread."""
        with self.lock:
            self.current = tile
        try:
            return {} if tile.dropped else self.run(names, feed)
        finally:
            with self.lock:
                self.current = None

    def run(self, names: Sequence[str], feed: Mapping[str, Array]) -> Results:
        """The outputs of some images, for the lane's own thread."""
        self.engine = self.engine or self.load()
        # The engine's results hold until its next call, which may come before they are fetched.
        return {name: np.array(value) for name, value in self.engine(names, feed).items()}


def _give_way() -> None:
    """Lets the system prefer other threads to this one, and to those that its engine starts, which
    inherit that. Without it a short tile beside a long one takes four times as long."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


class Tile:
    """A tile in the background, computed in its turn."""

    def __init__(self, lane: Lane, names: Sequence[str], feed: Mapping[str, Array]) -> None:
        self.lane, self.dropped = lane, False
        self.asked = time.monotonic()  # when somebody last asked for it
        self.future = lane.pool.submit(lane.compute, self, names, feed)

    def is_done(self) -> bool:
        """Whether it is computed, or failed."""
        self.asked = time.monotonic()
        return self.future.done()

    def drop(self) -> None:
        """Gives the tile up, also while it is computed."""
        self.future.cancel()
        with self.lane.lock:
            self.dropped = True
            if self.lane.current is self and self.lane.engine:
                self.lane.engine.cancel()


class Background:
    """The tiles of a network that are computed in the background, each by its caller's key.

    Args:
        load: makes an engine; called once a lane, when it is first needed.
        kilomacs: thousands of multiply-accumulates a pixel of a tile costs.
    """

    def __init__(self, load: Callable[[], Engine], kilomacs: float) -> None:
        self.kilomacs = kilomacs
        self.lanes = {limit: Lane(load) for limit in LANES}
        self.tiles: dict[str, Tile] = {}

    def takes(self, image: Array) -> bool:
        """Whether this image, (B, H, W, channels), is one for the background."""
        return self._cost(image) > AT_ONCE

    def _cost(self, image: Array) -> float:
        return image.shape[0] * image.shape[1] * image.shape[2] * self.kilomacs / 1e6

    def result(
        self, key: str, call: str, names: Sequence[str], feed: Mapping[str, Array]
    ) -> Results | None:
        """The outputs of a tile; None: not yet, so call again.

        Args:
            key: the same in all calls for one tile.
            call: AGAIN, GIVE_UP, or for the first one neither.
            names: of the outputs.
            feed: the inputs; without meaning after the first call.

        Raises:
            LookupError: there is no such tile any more.
            Exception: what the engine raises.
        """
        self._drop_abandoned()
        if call == protocol.GIVE_UP:
            self.drop(key)
            return None
        if key not in self.tiles:
            if call == protocol.AGAIN:
                raise LookupError(protocol.TILE_LOST)
            cost = self._cost(feed[protocol.NET_IMAGE])
            lane = next(lane for limit, lane in self.lanes.items() if cost <= limit)
            self.tiles[key] = Tile(lane, names, feed)
        tile = self.tiles[key]
        if not tile.is_done():
            return None
        del self.tiles[key]
        return tile.future.result()

    def share(self) -> Callable[[Sequence[str], Mapping[str, Array]], Results]:
        """Has a single lane, and its engine as a function: it's called in its turn."""
        lane = self.lanes[LANES[-1]]
        self.lanes = {LANES[-1]: lane}
        lane.engine = lane.load()
        return lambda names, feed: lane.pool.submit(lane.run, names, feed).result()

    def close(self) -> None:
        """Gives all tiles up."""
        for key in list(self.tiles):
            self.drop(key)

    def _drop_abandoned(self) -> None:
        """Gives up what nobody has asked for of late, as a caller that was killed leaves it."""
        since = time.monotonic() - ABANDONED
        for key in [key for key, tile in self.tiles.items() if tile.asked < since]:
            self.drop(key)

    def drop(self, key: str) -> None:
        """Gives a tile up, if there still is one of that key."""
        if tile := self.tiles.pop(key, None):
            tile.drop()
