"""What watches Triton, with processes in place of Triton's; tests/integration kills real ones."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sakuga_server.runtime import guard, processes, supervision
from sakuga_server.runtime.processes import Stub
from sakuga_server.runtime.supervision import Remains, Watched

PREFIX = "sakuga-test-of-the-guard-"
WAITS = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)"]


@contextmanager
def guarded(folder: Path, *command: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A guard that runs a command in place of tritonserver."""
    with subprocess.Popen(
        [sys.executable, "-I", guard.__file__, PREFIX, str(folder), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        yield process


def lines(process: "subprocess.Popen[bytes]", count: int) -> list[str]:
    assert process.stdout
    return [process.stdout.readline().decode().strip() for _ in range(count)]


def send(process: "subprocess.Popen[bytes]", text: bytes) -> None:
    assert process.stdin
    process.stdin.write(text)
    process.stdin.flush()


def test_what_ends_before_it_serves_is_not_started_again(tmp_path: Path) -> None:
    with guarded(tmp_path, "/bin/sh", "-c", "echo up; exit 3") as process:
        assert process.wait(60) == 3
        assert lines(process, 2) == ["up", ""]
    assert not tmp_path.exists()


def test_what_served_is_started_again_with_its_arguments(tmp_path: Path) -> None:
    segment = Path("/dev/shm", f"{PREFIX}1")
    with guarded(tmp_path, *WAITS) as process:
        assert lines(process, 1) == ["up"]
        send(process, guard.SERVING)
        segment.touch()
        (running,) = processes.children(process.pid)
        os.kill(running, signal.SIGKILL)
        said, up = lines(process, 2)
        assert "status 137; it is started again" in said
        assert up == "up"
        assert not segment.exists()  # which the one before left
        (second,) = processes.children(process.pid)
        assert second != running
        process.communicate(timeout=60)  # closes the pipe
        assert not processes.exists(second)
    assert not tmp_path.exists()


def test_what_ends_again_and_again_is_given_up(tmp_path: Path) -> None:
    ends, place = tmp_path / "ends", tmp_path / "place"
    with guarded(
        place, "/bin/sh", "-c", f"test -e {ends} && exit 7; echo up; sleep 600"
    ) as process:
        lines(process, 1)
        send(process, guard.SERVING)
        ends.touch()  # from the second on they end
        os.kill(*processes.children(process.pid), signal.SIGKILL)
        assert process.wait(60) == 7
        assert process.stdout
        assert process.stdout.read().count(b"it is started again") == guard.RESTARTS


def test_sigterm_ends_what_served(tmp_path: Path) -> None:
    with guarded(tmp_path, *WAITS) as process:
        lines(process, 1)
        send(process, guard.SERVING)
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM


def test_the_second_guard_ends_what_was_started_again(tmp_path: Path) -> None:
    with guarded(tmp_path, *WAITS) as process:
        lines(process, 1)
        send(process, guard.SERVING)
        os.kill(*processes.children(process.pid), signal.SIGKILL)
        lines(process, 2)
        (second,) = processes.children(process.pid)
        ended = os.pidfd_open(second)
        process.kill()
        assert os.waitid(os.P_PID, process.pid, os.WEXITED)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        assert poll.poll(60_000)


@pytest.fixture
def stub() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(WAITS, stdout=subprocess.PIPE) as process:
        lines(process, 1)
        yield process
        process.kill()


def test_a_process_that_dies_is_noticed_at_once(stub: "subprocess.Popen[bytes]") -> None:
    watched = Watched()
    watched.update([Stub(stub.pid, "upscale")])
    watched.update([Stub(stub.pid, "upscale")])  # known already
    assert watched.wait(0) == []
    assert watched.of("upscale") == [stub.pid]
    assert watched.of("rembg") == []
    stub.kill()
    assert watched.wait(60) == [Stub(stub.pid, "upscale")]
    assert processes.is_zombie(stub.pid)
    stub.wait()  # as Triton does with those that it ends itself
    assert not processes.is_zombie(stub.pid)
    assert watched.wait(0) == []


def test_remains_are_what_still_exists(
    stub: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    remains = Remains()
    remains.add([stub.pid, 2**22 + 1])
    remains.add([])
    assert remains.count() == 1
    assert not remains.are_stuck()
    monkeypatch.setattr(supervision, "IDLE_SECONDS", 0)
    assert remains.are_stuck()
    stub.kill()
    assert remains.count() == 1  # until somebody waits for it
    stub.wait()
    assert remains.count() == 0


def test_processes_that_compute_are_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0, 0.0]  # seconds, and those of computing
    monkeypatch.setattr(supervision.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(processes, "cpu_seconds", lambda _: clock[1])
    watched = Watched()
    watched.update([Stub(os.getpid(), "upscale")])
    seen = []
    for computed in (1.0, 1.0, 0.0, 0.01, 0.01, 0.01, 0.01, 0.01, 1.0, 0.0):
        clock[0] += 1
        clock[1] += computed
        seen.append(watched.is_idle())
    assert seen == [False] * 5 + [True] * 3 + [False] * 2
