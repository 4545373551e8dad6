"""The log of the embedded Triton on its way to whoever reads it."""

import io
import json
import os
import subprocess
import sys
from datetime import datetime

from sakuga_core import logs
from sakuga_server.runtime.relay import Relay

LINES = "print('a warning')\nprint('pinned_memory_manager: none')\n" + "print('x' * 1000)\n" * 500


def printing() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", LINES], stdout=subprocess.PIPE)


def test_it_passes_lines_on_without_those_of_a_machine_without_gpu() -> None:
    target = io.StringIO()
    with printing() as process:
        Relay(process, target).join()
    assert target.getvalue() == "a warning\n" + ("x" * 1000 + "\n") * 500


def test_it_empties_the_pipe_where_nobody_reads_any_more() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    target = os.fdopen(writer, "w")
    with printing() as process:
        relay = Relay(process, target)
        relay.join()
    assert process.returncode == 0  # half a megabyte: it would have waited for ever
    assert relay.last == "x" * 1000
    closed = io.StringIO()
    closed.close()
    with printing() as process:
        Relay(process, closed).join()
    assert process.returncode == 0


def test_in_json_every_line_is_an_object_with_what_triton_says_of_it() -> None:
    own = logs.line("a picture was answered", fields={"model": "upscale"})
    printed = (
        """E0302 04:05:06.250000 12 stand_in.py:92] "lost 'a'\\nas \\"b\\" (request a-1)\"""",
        own,
        "",
        'Triton "ended" by itself',
    )
    target = io.StringIO()
    command = [sys.executable, "-c", f"print({chr(10).join(printed)!r})"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        relay = Relay(process, target, "json")
        relay.join()
    relay.say("a process died")
    triton, same, other, said = map(json.loads, target.getvalue().splitlines())
    time = datetime.fromisoformat(triton.pop("time")).astimezone()
    assert (time.month, time.day, time.hour, time.microsecond) == (3, 2, 4, 250_000)
    message = "lost 'a'\nas \"b\" (request a-1)"
    about = {"level": "ERROR", "logger": "triton", "message": message, "request": "a-1"}
    assert triton == about
    assert same == json.loads(own)
    assert (other["level"], other["message"]) == ("INFO", 'Triton "ended" by itself')
    assert (said["level"], said["logger"]) == ("WARNING", "sakuga")
