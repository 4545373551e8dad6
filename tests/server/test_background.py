"""Tiles in the background of the stand-in backend, with an engine that waits to be told."""

import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sakuga_core import protocol
from sakuga_server.backends import background
from sakuga_server.backends.background import Background

SECONDS = 20  # until a test that hangs fails


class Engine:
    """Gives its input's mean once `go` is set; it fails once it is cancelled."""

    def __init__(self) -> None:
        self.begun, self.go, self.cancelled = (threading.Event() for _ in range(3))
        self.calls: list[int] = []
        self.result = np.zeros(1)

    def __call__(
        self, names: Iterable[str], feed: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        value = int(feed["IMAGE"].flat[0])
        self.calls.append(value)
        self.begun.set()
        assert self.go.wait(SECONDS)
        if self.cancelled.is_set():
            self.cancelled.clear()
            raise RuntimeError("cancelled")
        self.result[:] = value
        return dict.fromkeys(names, self.result)

    def cancel(self) -> None:
        self.cancelled.set()
        self.go.set()


class Tiles:
    """Calls as the stand-in makes them, and the engines, one a lane."""

    def __init__(self) -> None:
        self.engines: list[Engine] = []
        self.background = Background(self._load, kilomacs=1000)

    def _load(self) -> Engine:
        self.engines.append(Engine())
        return self.engines[-1]

    def call(self, key: str, value: int, side: int = 300, call: str = "") -> float | None:
        feed = {"IMAGE": np.full((1, side, side, 3), value, np.uint8)}
        results = self.background.result(key, call, ["RESULT"], feed)
        return None if results is None else float(results["RESULT"][0])

    def until_result(self, key: str) -> float:
        while (found := self.call(key, 0, call=protocol.AGAIN)) is None:
            pass
        return found


@pytest.fixture
def tiles() -> Tiles:
    return Tiles()


def image(side: int) -> np.ndarray:
    return np.zeros((1, side, side, 3), np.uint8)


def test_only_long_tiles_go_into_the_background(tiles: Tiles) -> None:
    assert [tiles.background.takes(image(side)) for side in (200, 230)] == [False, True]
    unknown_cost = Background(tiles._load, kilomacs=0)
    assert not unknown_cost.takes(image(2000))


def test_a_tile_is_asked_for_until_it_is_there(tiles: Tiles) -> None:
    assert tiles.call("a", 7) is None
    assert tiles.call("a", 0, call=protocol.AGAIN) is None
    tiles.engines[0].go.set()
    assert tiles.until_result("a") == 7
    assert tiles.engines[0].calls == [7]


def test_a_shorter_tile_overtakes_a_longer_one(tiles: Tiles) -> None:
    assert tiles.call("long", 1, side=1000) is None
    assert tiles.call("short", 2, side=300) is None
    long, short = tiles.engines
    short.go.set()
    assert tiles.until_result("short") == 2
    assert not long.go.is_set()
    assert long.begun.is_set()


def test_results_are_the_callers_own(tiles: Tiles) -> None:
    tiles.call("a", 1)
    tiles.call("b", 2)
    tiles.engines[0].go.set()
    assert tiles.until_result("b") == 2
    assert tiles.until_result("a") == 1


def test_who_gives_up_frees_the_lane_for_the_next(tiles: Tiles) -> None:
    tiles.call("a", 1)
    tiles.call("b", 2)
    tiles.call("c", 3)
    (engine,) = tiles.engines
    assert engine.begun.wait(SECONDS)
    for key in ("b", "a"):  # one that waits, and the one that is computed
        assert tiles.call(key, 0, call=protocol.GIVE_UP) is None
    assert tiles.until_result("c") == 3
    assert engine.calls == [1, 3]
    assert not tiles.background.tiles


def test_giving_up_what_is_not_there_harms_nobody(tiles: Tiles) -> None:
    assert tiles.call("never begun", 0, call=protocol.GIVE_UP) is None


def test_a_tile_of_a_process_that_ended_is_an_error_not_a_picture(tiles: Tiles) -> None:
    with pytest.raises(LookupError):
        tiles.call("lost", 0, call=protocol.AGAIN)


def test_a_tile_that_nobody_asks_for_any_more_is_given_up(
    tiles: Tiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles.call("abandoned", 1)
    (engine,) = tiles.engines
    assert engine.begun.wait(SECONDS)
    monkeypatch.setattr(background, "ABANDONED", -1)
    found = tiles.call("b", 2)
    monkeypatch.setattr(background, "ABANDONED", SECONDS)
    assert (found or tiles.until_result("b")) == 2
    assert engine.calls == [1, 2]
    assert not tiles.background.tiles


def test_all_tiles_are_given_up_when_the_network_is_unloaded(tiles: Tiles) -> None:
    for key in ("a", "b"):
        tiles.call(key, 1)
    (engine,) = tiles.engines
    assert engine.begun.wait(SECONDS)
    tiles.background.close()
    assert not tiles.background.tiles
    assert engine.go.is_set()  # by its cancellation


def test_an_engines_failure_reaches_who_asks(tiles: Tiles) -> None:
    tiles.call("a", 1)
    tiles.engines[0].cancel()
    with pytest.raises(RuntimeError, match="cancelled"):
        tiles.until_result("a")
    assert not tiles.background.tiles


def test_what_has_one_size_shares_one_engine_with_other_calls(tiles: Tiles) -> None:
    shared = tiles.background.share()
    (engine,) = tiles.engines
    assert tiles.call("a", 1) is None
    assert engine.begun.wait(SECONDS)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(shared, ["RESULT"], {"IMAGE": image(300) + 2})
        assert not other.done()  # it is its turn after the tile
        engine.go.set()
        assert float(other.result(SECONDS)["RESULT"][0]) == 2
    assert tiles.until_result("a") == 1
    assert tiles.engines == [engine]
