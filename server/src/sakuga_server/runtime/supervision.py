"""Watches the Python processes of a running Triton, and has it serve again when one has died.

Triton notices nothing: a dead process's model still counts as ready, and whoever gets to it is
refused, for ever. So the model is loaded again, which takes a second or two; the other processes of
the one before finish what they have. A pipeline's process that dies while a network works for it
leaves a thread in Triton waiting, so that the rest of its model can't end. Triton is then started
again: as soon as nothing is in flight, or, after many of these, once it is drained.
"""

import asyncio
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from sakuga_core.errors import SakugaError
from sakuga_server.runtime import processes
from sakuga_server.runtime.control import Control
from sakuga_server.runtime.following import drain
from sakuga_server.runtime.guard import AGAIN, SERVING
from sakuga_server.runtime.healed import Healed
from sakuga_server.runtime.machine import SHM_LEAST
from sakuga_server.runtime.processes import Stub
from sakuga_server.runtime.workspace import Workspace
from sakuga_server.stderr import last_lines

LOOK_SECONDS = 0.5  # between two looks for processes that are new
REAPED_SECONDS = 0.3  # in which Triton takes notice of a process that it has ended itself
LOADS = 3  # of a model, one after the other, before Triton is started again instead
# A file in a model's version folder; Triton loads the model anew where its time has changed.
MARK = "restarted"
# Triton is given up when it has ended by itself more than so many times in so many seconds.
RESTARTS, WITHIN = 5, 120.0
# Remains of models that may wait until nothing is in flight.
MOST_REMAINS = 6
# Nothing is in flight where all processes together take less than this share of a core, for so many
# seconds.
IDLE_SHARE, IDLE_SECONDS = 0.1, 3.0


class Supervisor(threading.Thread):
    """Supervises a Triton that serves, until `stop`.

    Args:
        guard: the process that runs Triton.
        control: the server's administration.
        place: the server's workspace, with the runtime repository.
        models: what Triton has to load when it is started again.
        exit_timeout: seconds in which requests in flight may finish before that.
        say: takes each event, as a line.
    """

    def __init__(
        self,
        guard: "subprocess.Popen[bytes]",
        control: Control,
        place: Workspace,
        models: Callable[[], Iterable[str]],
        exit_timeout: float,
        say: Callable[[str], object],
    ) -> None:
        super().__init__(daemon=True, name="supervisor")
        self.guard, self.control, self.place = guard, control, place
        self.healed = Healed.beside(place.models)
        self.models, self.exit_timeout, self.say = models, exit_timeout, say
        self.ended, self.serves = threading.Event(), threading.Event()
        self.watched = Watched()
        self.remains = Remains()
        self.triton: int | None = 0  # not yet seen
        self.ends: list[float] = []
        """When Triton last ended by itself."""
        self.is_planned = False
        """Whether it is ended from here."""
        self.serves.set()

    def start(self) -> None:
        """Begins it. From now on the guard waits for a word when Triton has ended."""
        self.tell(SERVING)
        super().start()

    def stop(self) -> None:
        """Ends the supervision."""
        self.ended.set()
        self.join(LOOK_SECONDS)  # it may be loading a model, for nobody

    def is_restarting(self) -> bool:
        """Whether Triton is being started again, or drained for that."""
        return not self.serves.is_set()

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                self._look()
            except (SakugaError, OSError):  # Triton may be starting or ending; the next look tells
                self.ended.wait(LOOK_SECONDS)

    def _look(self) -> None:
        triton = processes.triton_of(self.guard.pid)
        if triton != self.triton:
            if triton is None:
                self._start_again()
            self.watched, self.remains, self.triton = Watched(), Remains(), triton
        if triton is None:
            self.ended.wait(LOOK_SECONDS)
            return
        if self.is_restarting():
            self._check_serving()
        self.watched.update(processes.stubs_of(triton))
        self._heal_crashed(self.watched.wait(LOOK_SECONDS))
        if self.remains.count() and self._is_time():
            self._end(triton)

    def _start_again(self) -> None:
        """Tells the guard to start Triton again, unless that ends by itself again and again."""
        self.serves.clear()
        now = time.monotonic()
        ended = [] if self.is_planned else [now]
        self.ends, self.is_planned = [e for e in self.ends if e > now - WITHIN] + ended, False
        if len(self.ends) > RESTARTS:
            self.tell(b"\n")
            return
        self.healed.add_restart("died" if ended else "cleared")
        self.say("Triton is started again")
        self.tell(AGAIN + " ".join(self.models()).encode() + b"\n")

    def tell(self, line: bytes) -> None:
        """Sends the guard a line."""
        assert self.guard.stdin
        with suppress(OSError, ValueError):  # it has ended
            self.guard.stdin.write(line)
            self.guard.stdin.flush()

    def _check_serving(self) -> None:
        """
        Raises:
            SakugaError: not all models are loaded yet.
        """
        asyncio.run(self.control.states())
        self.serves.set()
        self.say("Triton serves again")

    def _heal_crashed(self, ended: list[Stub]) -> None:
        """Loads the models again of those processes that Triton hasn't ended itself."""
        if ended:
            self.ended.wait(REAPED_SECONDS)
        crashed = [stub for stub in ended if processes.is_zombie(stub.pid)]
        for stub in crashed:
            self._say_last_lines(stub)
        for model in sorted({stub.model for stub in crashed}):
            self._heal(model)

    def _say_last_lines(self, stub: Stub) -> None:
        """What a process wrote that can't write it into the log any more."""
        for line in last_lines(self.place.stderr, stub.pid):
            self.say(f"process {stub.pid} of {stub.model}, which died: {line}")

    def _heal(self, model: str) -> None:
        """Loads a model again of which a process has died, unless it is unloaded anyway."""
        if asyncio.run(self.control.states()).get(model) != "READY":
            return
        start, before = time.monotonic(), self.watched.of(model)
        for _ in range(LOADS):
            try:
                (self.place.models / model / "1" / MARK).write_text(str(time.time_ns()))
                asyncio.run(self.control.load(model))
            except (SakugaError, OSError) as error:
                self.say(f"a process of {model} died; the model wasn't loaded again: {error}")
                continue
            self.remains.add(before)
            seconds = time.monotonic() - start
            self.say(f"a process of {model} died; the model was loaded again in {seconds:.1f} s")
            self.healed.add_model(model)
            with suppress(SakugaError):
                asyncio.run(self.control.report_healed())
            return
        if self.triton:
            self._end(self.triton)

    def _is_time(self) -> bool:
        """Whether Triton has to be started again now, because of what is left of dead models."""
        if self.remains.count() > MOST_REMAINS or _shared_memory_is_short():
            self.serves.clear()
            asyncio.run(drain(self.control, self.exit_timeout))
            return True
        return self.remains.are_stuck() and self.watched.is_idle()

    def _end(self, triton: int) -> None:
        """Ends Triton, so that it is started again."""
        self.serves.clear()
        self.is_planned = True
        self.say("Triton is ended, as some of its processes have died")
        with suppress(ProcessLookupError):
            os.kill(triton, signal.SIGKILL)


def _shared_memory_is_short() -> bool:
    return shutil.disk_usage("/dev/shm").free < SHM_LEAST


class Watched:
    """The Python processes of one Triton."""

    def __init__(self) -> None:
        self.stubs: dict[int, Stub] = {}
        """By descriptor, a pidfd."""
        self.poll = select.poll()
        self.used = (time.monotonic(), 0.0)
        """Seconds of computing at the last time that they weren't idle."""

    def __del__(self) -> None:
        for descriptor in self.stubs:
            os.close(descriptor)

    def update(self, found: Iterable[Stub]) -> None:
        """Watches those that are new, too."""
        known = {stub.pid for stub in self.stubs.values()}
        for stub in found:
            if stub.pid not in known:
                with suppress(ProcessLookupError):
                    descriptor = os.pidfd_open(stub.pid)
                    self.stubs[descriptor] = stub
                    self.poll.register(descriptor, select.POLLIN)

    def wait(self, seconds: float) -> list[Stub]:
        """Those that have ended, as soon as there are some; nobody watches them any more."""
        ready = [descriptor for descriptor, _ in self.poll.poll(1000 * seconds)]
        for descriptor in ready:
            self.poll.unregister(descriptor)
            os.close(descriptor)
        return [self.stubs.pop(descriptor) for descriptor in ready]

    def of(self, model: str) -> list[int]:
        """The processes of a model."""
        return [stub.pid for stub in self.stubs.values() if stub.model == model]

    def is_idle(self) -> bool:
        """Whether they have computed next to nothing of late."""
        now, used = time.monotonic(), sum(map(processes.cpu_seconds, self._pids()))
        since, before = self.used
        if used - before > IDLE_SHARE * (now - since) or used < before:
            self.used = now, used
            return False
        return now - since > IDLE_SECONDS

    def _pids(self) -> list[int]:
        return [stub.pid for stub in self.stubs.values()]


class Remains:
    """What is left of models that were loaded again: processes that should end by themselves."""

    def __init__(self) -> None:
        self.groups: list[tuple[float, list[int]]] = []

    def add(self, pids: list[int]) -> None:
        self.groups.append((time.monotonic(), pids))

    def count(self) -> int:
        """How many models have left something."""
        alive = ((at, [pid for pid in pids if processes.exists(pid)]) for at, pids in self.groups)
        self.groups = [(at, pids) for at, pids in alive if pids]
        return len(self.groups)

    def are_stuck(self) -> bool:
        """Whether they have been there for too long to be finishing."""
        return any(time.monotonic() - at > IDLE_SECONDS for at, _ in self.groups)
