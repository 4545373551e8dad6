"""What watches Triton, with processes in place of Triton's; tests/integration kills real ones."""

import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pytest

from sakuga_server.runtime import guard, processes, supervision
from sakuga_server.runtime.processes import Stub
from sakuga_server.runtime.supervision import Remains, Supervisor, Watched
from sakuga_server.runtime.workspace import Workspace

PREFIX = "sakuga-test-of-the-guard-"
SAYS = [
    *(sys.executable, "-c"),
    "import sys, time; print(*sys.argv[1:], flush=True); time.sleep(600)",
]


@contextmanager
def guarded(folder: Path, *command: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A guard that runs a command in place of tritonserver."""
    with subprocess.Popen(
        [sys.executable, "-I", guard.__file__, PREFIX, str(folder), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


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


def test_what_served_is_started_again_with_other_models(tmp_path: Path) -> None:
    segment = Path("/dev/shm", f"{PREFIX}1")
    with guarded(tmp_path, *SAYS, "--load-model=a", "--load-model=b", "--other") as process:
        assert lines(process, 1) == ["--load-model=a --load-model=b --other"]
        send(process, guard.SERVING)
        segment.touch()
        (running,) = processes.children(process.pid)
        os.kill(running, signal.SIGKILL)
        assert lines(process, 1) == ["Triton ended by itself, with status 137"]
        send(process, guard.AGAIN + b"b c\n")
        assert lines(process, 1) == ["--other --load-model=b --load-model=c"]
        assert not segment.exists()  # which the one before left
        (second,) = processes.children(process.pid)
        assert second != running
        process.communicate(timeout=60)  # closes the pipe
        assert not processes.exists(second)
    assert not tmp_path.exists()


def test_a_decision_that_comes_before_the_end_is_seen_counts(tmp_path: Path) -> None:
    with guarded(tmp_path, *SAYS, "--load-model=a") as process:
        lines(process, 1)
        send(process, guard.SERVING + guard.AGAIN + b"b\n")
        assert process.stdin
        unread = array("i", [1])
        while unread[0]:  # until the guard has both lines
            fcntl.ioctl(process.stdin, termios.FIONREAD, unread)
        os.kill(*processes.children(process.pid), signal.SIGKILL)
        assert lines(process, 2)[1] == "--load-model=b"


@pytest.mark.parametrize("word", [b"\n", b""])
def test_what_nobody_wants_again_is_given_up(tmp_path: Path, word: bytes) -> None:
    with guarded(tmp_path, *SAYS) as process:
        lines(process, 1)
        send(process, guard.SERVING)
        os.kill(*processes.children(process.pid), signal.SIGKILL)
        lines(process, 1)
        send(process, word)
        if not word:
            assert process.stdin
            process.stdin.close()
        assert process.wait(60) == 128 + signal.SIGKILL


def test_sigterm_ends_what_served(tmp_path: Path) -> None:
    with guarded(tmp_path, *SAYS) as process:
        lines(process, 1)
        send(process, guard.SERVING)
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM


def test_the_second_guard_ends_what_was_started_again(tmp_path: Path) -> None:
    with guarded(tmp_path, *SAYS) as process:
        lines(process, 1)
        send(process, guard.SERVING)
        os.kill(*processes.children(process.pid), signal.SIGKILL)
        lines(process, 1)
        send(process, guard.AGAIN + b"\n")
        lines(process, 1)
        (second,) = processes.children(process.pid)
        ended = os.pidfd_open(second)
        process.kill()
        assert os.waitid(os.P_PID, process.pid, os.WEXITED)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        assert poll.poll(60_000)


@pytest.fixture
def stub() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(SAYS, stdout=subprocess.PIPE) as process:
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


@dataclass
class Guard:
    """Stands for the guard's process: what it is told, and the Triton that it runs."""

    pid: int = 0
    stdin: BytesIO = field(default_factory=BytesIO)

    def told(self) -> list[bytes]:
        return self.stdin.getvalue().splitlines()


class Control:
    """Stands for the administration of a Triton that serves."""

    async def states(self) -> dict[str, str]:
        return {"upscale": "READY"}


def test_a_triton_that_ends_again_and_again_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    running: list[int | None] = [7]
    monkeypatch.setattr(processes, "triton_of", lambda _: running[0])
    monkeypatch.setattr(processes, "stubs_of", lambda _: [])
    monkeypatch.setattr(supervision, "LOOK_SECONDS", 0)
    said: list[str] = []
    models = iter("abcdefgh")
    supervisor = Supervisor(
        made := Guard(),  # type: ignore[arg-type]
        Control(),  # type: ignore[arg-type]
        Workspace(tmp_path, 0),
        lambda: [next(models)],
        0,
        said.append,
    )
    supervisor._look()
    assert not supervisor.is_restarting()
    for number in range(supervision.RESTARTS + 1):
        running[0] = None
        supervisor._look()
        supervisor._look()  # it is being started
        assert supervisor.is_restarting()
        running[0] = 8 + number
        supervisor._look()
        assert not supervisor.is_restarting()
    assert made.told() == [b"again a", b"again b", b"again c", b"again d", b"again e", b""]
    assert said[:2] == ["Triton is started again", "Triton serves again"]


def test_a_triton_that_dies_before_the_first_look_is_started_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(processes, "triton_of", lambda _: None)
    monkeypatch.setattr(supervision, "LOOK_SECONDS", 0)
    made, control = Guard(), Control()
    place = Workspace(tmp_path, 0)
    Supervisor(made, control, place, lambda: ["a"], 0, print)._look()  # type: ignore[arg-type]
    assert made.told() == [b"again a"]


def test_ends_that_were_planned_are_not_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    running: list[int | None] = [2**22 + 1]
    monkeypatch.setattr(processes, "triton_of", lambda _: running[0])
    monkeypatch.setattr(processes, "stubs_of", lambda _: [])
    monkeypatch.setattr(supervision, "LOOK_SECONDS", 0)
    made, control = Guard(), Control()
    place = Workspace(tmp_path, 0)
    supervisor = Supervisor(made, control, place, lambda: ["a"], 0, print)  # type: ignore[arg-type]
    for _ in range(3 * supervision.RESTARTS):
        running[0] = 2**22 + 1  # no process has that number
        supervisor._look()
        supervisor._end(2**22 + 1)
        running[0] = None
        supervisor._look()
    assert made.told() == [b"again a"] * (3 * supervision.RESTARTS)


def test_children_are_the_same_where_the_kernel_keeps_no_list(
    stub: "subprocess.Popen[bytes]",
) -> None:
    assert stub.pid in processes.children(os.getpid())
    assert sorted(processes.by_parent(os.getpid())) == sorted(processes.children(os.getpid()))
    assert processes.children(2**22 + 1) == []
