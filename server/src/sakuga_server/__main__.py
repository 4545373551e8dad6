"""The embedded server of another process: `python -m sakuga_server`.

One line of JSON on standard input has its configuration: `config` (of config.yaml) and `models`
(Triton models to load at the start; empty: those that `config` names). One line on standard output
answers: `{"url": "host:port"}` once it serves, or `{"error": "ClassName: message"}`. It serves
until standard input is closed: also when the other process is killed.
"""

import json
import os
import select
import signal
import sys
from typing import Any

from sakuga_core.config.schema import Config
from sakuga_core.errors import SakugaError, ServerError
from sakuga_server.runtime.embedded import run_triton


def main() -> int:
    """Serves; returns the exit status."""
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, signal.default_int_handler)
    try:
        _serve(json.loads(sys.stdin.readline()))
    except SakugaError as error:
        _answer({"error": error.to_message()})
        return 1
    except OSError as error:
        _answer({"error": ServerError(f"the server can't be started: {error}").to_message()})
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def _serve(request: dict[str, Any]) -> None:
    config = Config.model_validate(request["config"])
    with run_triton(config, models=request["models"]) as running:
        _answer({"url": running.url})
        ended = os.pidfd_open(running.process.pid)
        poll = select.poll()
        poll.register(sys.stdin.fileno(), select.POLLIN | select.POLLHUP)
        poll.register(ended, select.POLLIN)
        poll.poll()


def _answer(values: dict[str, str]) -> None:
    try:
        print(json.dumps(values), flush=True)
    except BrokenPipeError:  # nobody waits for it any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
