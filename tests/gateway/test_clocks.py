"""What happens when somebody sets the clock, or the clocks of hosts differ."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sakuga_gateway.jobs import roster
from sakuga_gateway.jobs.roster import SILENT_SECONDS, Roster
from sakuga_gateway.jobs.tables import gateways
from sakuga_gateway.rates import MINUTE, Rates

HOUR = 3600.0


class Clock:
    """The seconds that a test wants it to be."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """In place of the clock that only grows."""
    clock = Clock()
    monkeypatch.setattr(roster.time, "monotonic", clock)
    return clock


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    gateways.create(engine)
    yield engine
    engine.dispose()


def there(engine: sa.Engine, seen: float) -> str:
    """A gateway of another host."""
    with engine.begin() as connection:
        row = {"id": "other", "host": "elsewhere", "pid": 1, "seen": seen}
        connection.execute(sa.delete(gateways))
        connection.execute(sa.insert(gateways), row)
    return "other"


@pytest.mark.parametrize("ahead", [-HOUR, 0.0, HOUR])
def test_a_gateway_counts_as_gone_once_it_is_silent_whatever_its_clock_shows(
    engine: sa.Engine, clock: Clock, ahead: float
) -> None:
    mine = Roster(engine)
    for beat in range(4):
        other = there(engine, 1_000_000 + ahead + beat * SILENT_SECONDS)
        assert mine.claim_gone() is None
        clock.now += SILENT_SECONDS
    assert mine.claim_gone() is None
    clock.now += 1
    assert mine.claim_gone() == other


def test_a_gateway_that_leaves_is_gone_at_once(engine: sa.Engine, clock: Clock) -> None:
    assert there(engine, 0.0) == Roster(engine).claim_gone()


def test_rates_follow_a_clock_that_nobody_sets() -> None:
    clock = Clock()
    rates = Rates(clock)
    waits = []
    for _ in range(4):
        waits.append(rates.wait("alice", 3))
        clock.now += 1
    assert waits == [0, 0, 0, MINUTE - 3]
    assert rates.wait("bob", 3) == 0
    clock.now = 1000 + MINUTE  # when the first of alice's is a minute ago, and the second isn't
    assert [rates.wait("alice", 3) for _ in range(2)] == [0, 1]
    assert rates.wait("alice", 4) == 0, "with another rate, from an edited config.yaml"


def test_callers_that_send_nothing_are_forgotten() -> None:
    clock = Clock()
    rates = Rates(clock)
    for number in range(100):
        rates.wait(f"192.0.2.{number}", 10)
    clock.now += MINUTE
    rates.wait("alice", 10)
    assert list(rates._times) == ["alice"]
