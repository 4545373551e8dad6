"""The log of the embedded Triton on its way to whoever reads it."""

import io
import os
import subprocess
import sys

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
