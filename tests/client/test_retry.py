"""Attempts, pauses and the budget; that they save pictures is shown with real servers."""

import pytest

from sakuga import (
    BadImage,
    DeadlineExceeded,
    ModelNotLoaded,
    Overloaded,
    QueueTimeout,
    SakugaError,
    ServerError,
    ServerUnavailable,
    retry,
)
from sakuga.retry import (
    AGAIN,
    FIRST,
    LONGEST,
    MOST,
    RECOVERY,
    Attempts,
    Budget,
    Deadline,
    repeated,
)
from sakuga_core.errors import is_retryable, says_stopping


def test_pauses_grow_and_differ() -> None:
    seen = [
        [attempts.pause() or 0 for _ in range(9)]
        for attempts in (Attempts(9, Deadline(600), Budget()) for _ in range(200))
    ]
    for turn, pauses in enumerate(zip(*seen, strict=True)):
        longest = min(LONGEST, FIRST * 2**turn)
        assert max(pauses) <= longest
        assert max(pauses) > longest / 2 > min(pauses)


def test_attempts_end_by_number_and_by_time() -> None:
    few = Attempts(2, Deadline(600), Budget())
    assert [few.pause() is None for _ in range(3)] == [False, False, True]
    assert Attempts(0, Deadline(600), Budget()).pause() is None
    late = Attempts(100, Deadline(0), Budget())
    assert late.pause() is None


def test_retries_are_a_fifth_of_pictures_once_the_start_is_spent() -> None:
    budget, retried = Budget(), 0
    for _ in range(1000):  # pictures of which every attempt fails
        budget.earn()
        attempts = Attempts(3, Deadline(600), budget)
        while attempts.pause() is not None:
            retried += 1
    assert 190 <= retried <= 200 + MOST


def test_a_pause_that_would_outlast_the_deadline_costs_no_token() -> None:
    budget = Budget()
    attempts = Attempts(100, Deadline(0), budget)
    assert [attempts.pause() for _ in range(5)] == [None] * 5
    assert (attempts.made, budget.tokens) == (0, MOST)


def test_a_server_that_recovers_is_waited_for_and_costs_no_token() -> None:
    attempts = Attempts(3, Deadline(600), budget := Budget())
    pauses = [attempts.pause(recovers=True) for _ in range(40)]
    assert all(pause is not None and pause <= AGAIN for pause in pauses)
    assert budget.tokens == MOST
    assert attempts.failed
    attempts.failed -= RECOVERY
    assert attempts.pause(recovers=True) is None


def test_who_wants_no_retries_waits_for_no_recovery() -> None:
    assert Attempts(0, Deadline(600), Budget()).pause(recovers=True) is None
    assert Attempts(3, Deadline(0), Budget()).pause(recovers=True) is None


@pytest.mark.parametrize(
    ("error", "known", "calls"),
    [
        (ServerUnavailable, True, 6),
        (ServerUnavailable, False, 3),
        (QueueTimeout, True, 3),
        (Overloaded, True, 1),
    ],
)
async def test_only_a_known_server_is_waited_for(
    error: type[SakugaError], known: bool, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST", 0)
    made = 0

    async def call(_: Deadline) -> None:
        nonlocal made
        made += 1
        if made == 6:
            monkeypatch.setattr(retry, "RECOVERY", 0)
        raise error("")

    attempts = Attempts(2, Deadline(600), Budget())
    with pytest.raises(error):
        await repeated(call, attempts, "", lambda: known)
    assert made == calls


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ServerUnavailable, True),
        (QueueTimeout, True),
        (Overloaded, False),
        (DeadlineExceeded, False),
        (ModelNotLoaded, False),
        (BadImage, False),
        (ServerError, False),
    ],
)
def test_only_what_another_server_may_do_is_retryable(
    error: type[SakugaError], again: bool
) -> None:
    assert is_retryable(error("")) is again


def test_a_pipeline_that_is_gone_means_a_server_that_stops() -> None:
    gone = "Request for unknown model: 'x' has no available versions"
    assert says_stopping(gone, "upscale")
    assert not says_stopping(gone, "rembg_u2net")  # networks are unloaded while it runs
