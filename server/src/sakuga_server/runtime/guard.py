"""Runs tritonserver, and leaves nothing of it behind, however it ends or its supervisor does.

A process of its own between the two, started as a script: it imports the standard library alone,
so that it takes 20 ms. Its standard input is a pipe whose other end the supervisor holds. When that
closes, for whatever reason, Triton is killed; when Triton ends, so do its Python processes. Then
its segments of shared memory and its folder are removed. Should the guard itself be killed, Linux
ends Triton, and a second process, which waits for nothing else, does the rest: a Python process of
Triton that waits for its answer holds the interpreter's lock, and can't end by itself.

SIGTERM is passed on: Triton then finishes its requests, and ends.

Once the supervisor has sent SERVING through the pipe, it decides what becomes of a Triton that ends
by itself: a line that begins with AGAIN starts it again, with the models that the line names.
"""

import ctypes
import os
import select
import signal
import sys

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
SHARED_MEMORY = "/dev/shm"
NOTE = "tritons"  # in its folder: a link to the one that Triton made elsewhere
DONE = b"done"  # tells the second guard that nothing is left to do
# Lines from the supervisor: Triton's first start went well; start it again, with these models.
SERVING, AGAIN = b"serving\n", b"again "
LOAD = "--load-model="


def main(prefix: str, folder: str, *command: str) -> int:
    """Runs a command to its end.

    Args:
        prefix: of the names of its segments of shared memory.
        folder: to remove at the end.
        command: tritonserver and its arguments.

    Returns:
        Its exit status; of a process that a signal ended, 128 and the signal, as shells have it.
    """
    libc = ctypes.CDLL(None)
    second = _second(prefix, folder)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)  # Triton's processes become ours when it is gone
    supervisor = _Supervisor(sys.stdin.fileno())
    while True:
        status = _run(libc, command, second, supervisor)
        models = supervisor.models_to_start(status)
        if models is None:
            break
        _remove_segments(prefix)
        others = (each for each in command if not each.startswith(LOAD))
        command = (*others, *(LOAD + model for model in models))
    _remove(prefix, folder)
    os.write(second, DONE)
    return status


class _Supervisor:
    """The other end of the pipe."""

    def __init__(self, pipe: int) -> None:
        self.pipe, self.lines = pipe, os.fdopen(pipe, "rb", buffering=0)
        self.is_serving = self.has_gone = self.is_ending = False
        # What it decided. It may see that Triton ends before this process does: the memory of a
        # large process takes a while to be freed.
        self.decision = b""

    def read(self) -> None:
        """Takes the next line; at the end there is none, and so nobody."""
        line = self.lines.readline()
        self.has_gone |= not line
        if line == SERVING:
            self.is_serving = True
        else:
            self.decision = line

    def models_to_start(self, status: int) -> list[str] | None:
        """What it wants Triton started with, which has ended; None: it isn't to be started."""
        if not self.is_serving or self.has_gone or self.is_ending:
            return None
        print(f"Triton ended by itself, with status {status}", flush=True)
        if not self.decision:
            self.read()
        line, self.decision = self.decision, b""
        return line[len(AGAIN) :].decode().split() if line.startswith(AGAIN) else None


def _run(libc: ctypes.CDLL, command: tuple[str, ...], second: int, supervisor: _Supervisor) -> int:
    """Runs Triton until it ends, or the supervisor's pipe closes; its exit status."""
    triton = _started(libc, command)
    os.write(second, b"%d\n" % triton)

    def terminate(*_: object) -> None:
        supervisor.is_ending = True
        os.kill(triton, signal.SIGTERM)

    signal.signal(signal.SIGTERM, terminate)
    _wait(supervisor, os.pidfd_open(triton))
    os.killpg(triton, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(_reaped(triton))
    return code if code >= 0 else 128 - code


def _started(libc: ctypes.CDLL, command: tuple[str, ...]) -> int:
    """The process of a command, which leads a group of its own and ends with this process."""
    guard, child = os.getpid(), os.fork()
    if child == 0:
        os.setpgid(0, 0)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:  # which was killed before the line above
            os._exit(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        try:
            os.execv(command[0], command)
        except OSError as error:
            os.write(2, f"{command[0]}: {error.strerror}\n".encode())
            os._exit(127)
    try:
        os.setpgid(child, child)  # also here: whichever comes first
    except OSError:  # it runs already
        return child
    return child


def _second(prefix: str, folder: str) -> int:
    """Starts the second guard, which isn't this one's child: what is waited for is Triton's.

    Returns:
        A pipe for the number of Triton's group, each time it is started, then for DONE. That it
        closes without it is the sign.
    """
    reading, writing = os.pipe()
    if os.fork():
        os.close(reading)
        os.wait()
        return writing
    if os.fork():
        os._exit(0)
    os.setsid()
    os.close(writing)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    with open(reading, "rb") as pipe:
        *groups, end = pipe.read().split(b"\n")
    if end != DONE:
        if groups:
            _end_group(int(groups[-1]))
        _remove(prefix, folder)
    os._exit(0)


def _end_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return  # all of it has ended


def _wait(supervisor: _Supervisor, triton: int) -> None:
    """Until Triton, a pidfd, ends, or the supervisor's pipe closes."""
    poll = select.poll()
    for descriptor in (supervisor.pipe, triton):
        poll.register(descriptor, select.POLLIN)
    while not supervisor.has_gone:
        ready = dict(poll.poll())
        if supervisor.pipe in ready:
            supervisor.read()
        if triton in ready:
            break
    os.close(triton)


def _reaped(triton: int) -> int:
    """Triton's status, once it and all of its processes are gone."""
    status = 0
    while True:
        try:
            process, ended = os.waitpid(-1, 0)
        except ChildProcessError:
            return status
        if process == triton:
            status = ended


def _remove(prefix: str, folder: str) -> None:
    import shutil  # here, where they delay nothing
    from contextlib import suppress

    _remove_segments(prefix)
    with suppress(OSError):  # there is none, or the supervisor was first
        os.rmdir(os.readlink(os.path.join(folder, NOTE)))
    shutil.rmtree(folder, ignore_errors=True)


def _remove_segments(prefix: str) -> None:
    for name in os.listdir(SHARED_MEMORY):
        if name.startswith(prefix):
            try:
                os.unlink(os.path.join(SHARED_MEMORY, name))
            except FileNotFoundError:  # the supervisor was first
                continue


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
