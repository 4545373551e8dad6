"""Whether a caller has gone: asked rarely, and never once the request is done."""

import pytest

from sakuga_core.errors import Cancelled
from sakuga_server import cancellation
from sakuga_server.cancellation import CallerWatch, stop_if


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(cancellation, "monotonic", clock)
    return clock


class Triton:
    def __init__(self) -> None:
        self.questions, self.gone = 0, False

    def is_cancelled(self) -> bool:
        self.questions += 1
        return self.gone


def test_between_two_questions_the_last_answer_holds(clock: Clock) -> None:
    triton = Triton()
    watch = CallerWatch(triton.is_cancelled)
    triton.gone = True
    assert not watch()  # a short request never asks
    assert triton.questions == 0
    triton.gone = False
    for _ in range(3):
        clock.now += cancellation.INTERVAL
        assert not any(watch() for _ in range(100))
    assert triton.questions == 3
    triton.gone = True
    clock.now += cancellation.INTERVAL
    with pytest.raises(Cancelled):
        stop_if(watch)


def test_of_a_caller_who_has_gone_nothing_is_asked_any_more(clock: Clock) -> None:
    triton = Triton()
    triton.gone = True
    watch = CallerWatch(triton.is_cancelled)
    for _ in range(5):
        clock.now += 1
        assert watch()
    assert triton.questions == 1


def test_a_request_that_is_done_is_never_asked_about(clock: Clock) -> None:
    triton = Triton()
    watch = CallerWatch(triton.is_cancelled)
    watch.close()
    clock.now += 1000
    assert watch()  # what goes on all the same stops
    assert triton.questions == 0
