"""The log of a server: Triton's lines, and those of the programs around it."""

import json
import re
import subprocess
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO

from sakuga_core import logs
from sakuga_core.logs import LogFormat

# As Triton begins a line: E1130 04:05:06.123456 12 file.cc:34] message. Its time is the machine's.
TRITON = re.compile(r"([EWIV])(\d{4} \d\d:\d\d:\d\d\.\d+) \d+ [^\]]*\] ?(.*)", re.DOTALL)
LEVELS = {"E": "ERROR", "W": "WARNING", "I": "INFO", "V": "DEBUG"}
# As lines in text end that belong to a request.
REQUEST = re.compile(r" \(request ([\w.:-]+)\)$")


def as_json(line: str) -> str:
    """A line as a JSON object; one of Sakuga's processes that is one already stays as it is."""
    text = line.strip()
    if text.startswith('{"time"'):
        return text
    level, seconds = "INFO", None
    if found := TRITON.fullmatch(text):
        level, seconds, text = LEVELS[found[1]], _seconds(found[2]), _unquoted(found[3])
    ids = {"request": found[1]} if (found := REQUEST.search(text)) else {}
    return logs.line(text, level, "triton", seconds, ids)


def _unquoted(message: str) -> str:
    """A message that Triton has written in quotes, with its line ends escaped."""
    try:
        return str(json.loads(message)) if message.startswith('"') else message
    except ValueError:
        return message


def _seconds(stamp: str) -> float | None:
    """Since 1970, of a month and day of this year, and a time."""
    try:
        found = datetime.strptime(f"{datetime.now(UTC).year} {stamp}", "%Y %m%d %H:%M:%S.%f")
    except ValueError:
        return None
    return found.timestamp()


class Relay(threading.Thread):
    """Passes Triton's log on, line by line, without what it says of a machine that has no GPU.

    Args:
        process: whose output is Triton's log.
        target: where it goes.
    """

    HARMLESS = ("CudaDriverHelper", "pinned_memory_manager", "unable to create stream", "Signal (")

    def __init__(
        self, process: "subprocess.Popen[bytes]", target: TextIO, format: LogFormat = "text"
    ) -> None:
        super().__init__(daemon=True, name="triton-log")
        self.source, self.target, self.last = process.stdout, target, ""
        self.is_json = format == "json"
        self.say = logs.speaker(format, self._write, "WARNING")
        """Adds a line to the log, of what isn't as it should be."""
        self.start()

    def run(self) -> None:
        for raw in self.source or ():
            line = raw.decode(errors="replace").rstrip("\n")
            if not any(word in line for word in self.HARMLESS):
                self.last = line.strip() or self.last
                if line.strip() or not self.is_json:
                    self._write(as_json(line) if self.is_json else line)

    def _write(self, line: str) -> None:
        # Whoever read the log may be gone; Triton's pipe is emptied all the same.
        with suppress(OSError, ValueError):
            self.target.write(f"{line}\n")
            self.target.flush()
