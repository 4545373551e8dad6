"""The server behind `server.url: auto`: one that answers on this machine, else the embedded one.

The embedded server is a process of `sakuga_server`. It gets its configuration as a line of JSON on
standard input, answers with a line on standard output, and ends when the pipe is closed: also when
this process is killed.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from threading import Lock
from weakref import WeakSet

from sakuga_core.config.schema import Config
from sakuga_core.errors import Cancelled, ConfigError, ServerError, from_message
from sakuga_core.paths import cache_folder

AUTO = "auto"
DEFAULT_PORT = 8001
CONNECT_SECONDS = 1.0  # for a port of this machine
STOP_SECONDS = 60  # that the embedded server takes at most to stop
STARTING = (
    "No server answers on this machine: starting one for this process. "
    "`sakuga serve` keeps one running."
)


@dataclass(frozen=True)
class Running:
    """A server that answers on this machine."""

    url: str
    key: str | None = None
    """Of its administration, where this user started it."""


def running() -> Running | None:
    """The server of this machine that answers, if there is one: this user's `sakuga serve`, or
    whatever listens on Triton's usual port."""
    for server in (*_recorded(), Running(f"localhost:{DEFAULT_PORT}")):
        if _answers(server.url):
            return server
    return None


def recorded_key(url: str) -> str | None:
    """The administration key of this user's own server at `url`, if it is one."""
    host, port = split(url)
    if host not in ("localhost", "127.0.0.1", "::1"):
        return None
    return next((each.key for each in _recorded() if split(each.url)[1] == port), None)


def split(url: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[host]:port`; port 0 where it has none."""
    host, _, port = url.rpartition(":")
    return host.strip("[]"), int(port) if port.isdigit() else 0


def _recorded() -> Iterator[Running]:
    """The servers that `sakuga serve` recorded, as far as they still run."""
    for file in sorted((cache_folder() / "servers").glob("*.json")):
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            os.kill(values["pid"], 0)
            yield Running(values["url"], values.get("key"))
        except (OSError, ValueError, KeyError, TypeError):  # ended, or being written
            continue


def _answers(url: str) -> bool:
    try:
        socket.create_connection(split(url), CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class LocalServer:
    """A server on this machine, found or started at the first need.

    Args:
        config: for the embedded server.
        models: Triton models that it loads at the start; empty: what `config` names.
        workers: requests that will be in flight at once, at most, so that no pipeline has more
            processes; None: unknown.
        always_start: start one even if another answers.
        announce: takes the line that says that a server is being started.
    """

    def __init__(
        self,
        config: Config,
        models: Sequence[str] = (),
        *,
        workers: int | None = None,
        always_start: bool = False,
        announce: Callable[[str], object] = _print,
    ) -> None:
        self.config, self.models, self.workers = config, list(models), workers
        self.always_start, self.announce = always_start, announce
        self._found: Running | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._url: str | None = None
        self._closed = 0  # how often
        self._lock = Lock()
        _started.add(self)

    def begin(self) -> None:
        """Finds a server, or starts one without waiting until it is ready.

        Raises:
            ConfigError: none answers, and the embedded server isn't installed.
        """
        with self._lock:
            self._begin()

    def url(self) -> str:
        """host:port of the server, once it is ready; starts the embedded one again if it ended.

        Raises:
            Cancelled: `close` was called meanwhile.
            ConfigError: the embedded server can't be started as configured.
            ServerError: it ended before it was ready.
        """
        closed = self._closed
        with self._lock:
            if self._closed != closed:
                raise Cancelled("the embedded server was stopped before it was ready")
            self._begin()
            if self._found:
                return self._found.url
            if self._url is None:
                self._url = self._ready()
            return self._url

    def close(self) -> None:
        """Ends the embedded server, if one was started, also while it starts, and waits until it
        has ended."""
        self._closed += 1
        if (starting := self._process) and self._url is None:
            starting.terminate()  # which frees the lock, if `url` waits for the server
        with self._lock:
            process, self._process, self._url = self._process, None, None
        if process is None:
            return
        assert process.stdin
        assert process.stdout
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _begin(self) -> None:
        if self._found or (self._process and self._process.poll() is None):
            return
        if not self.always_start and (found := running()):
            self._found = found
            return
        self._start()

    def _start(self) -> None:
        if find_spec("sakuga_server") is None:
            raise ConfigError(
                "no server answers on this machine, and the embedded server isn't installed; "
                "`pip install 'sakuga[serve]'`, or set server.url"
            )
        self.announce(STARTING)
        self._url = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sakuga_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the server
        )
        assert self._process.stdin
        self._process.stdin.write(self._request())
        self._process.stdin.flush()

    def _request(self) -> bytes:
        values = self.config.model_dump(mode="json", exclude_unset=True)
        server = values.setdefault("server", {})
        server["repository"] = str(self.config.server.repository.resolve())
        for name in server.get("tls", {}).keys() & {"ca", "certificate", "key"}:
            server["tls"][name] = str(getattr(self.config.server.tls, name))
        server |= self.config.server.workers_for(self.workers) if self.workers else {}
        return json.dumps({"config": values, "models": self.models}).encode() + b"\n"

    def _ready(self) -> str:
        assert self._process
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ServerError("the embedded server ended before it was ready")
        answer = json.loads(line)
        if "error" in answer:
            raise from_message(answer["error"]) or ServerError(answer["error"])
        return str(answer["url"])

    def leave(self) -> None:
        """In a process that was forked from this one: leaves the embedded server alone. It ends
        when its pipe is closed, which it wouldn't be while another process has it, too."""
        process, self._process = self._process, None
        if process and process.stdin:
            process.stdin.close()


_started: WeakSet[LocalServer] = WeakSet()


def _leave_all() -> None:
    for server in list(_started):
        server.leave()


os.register_at_fork(after_in_child=_leave_all)
