"""What a command prints of its pictures."""

import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sakuga.cli.errors import printable, sentence


@dataclass(frozen=True)
class Printed:
    """What a command prints."""

    json: bool = False
    """An object for each picture."""
    report: bool = False
    """The server's report of each picture."""
    regions: bool = False
    """The regions that were detected."""
    lines: bool = True
    """A line for each picture."""
    in_bar: bool = False
    """A bar on a terminal, instead of lines."""


class Stopped(Exception):
    """An error that every other picture would meet, too."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Lines:
    """The lines of a command: a reader of standard output that has gone is no failure.

    Args:
        printed: what they are.
        print_line: prints one on standard output.
    """

    def __init__(self, printed: Printed, print_line: Callable[[str], object]) -> None:
        self._printed, self._print_line = printed, print_line
        self._is_closed = False
        self._warnings: Counter[str] = Counter()

    def done(self, name: str, target: str | None, report: Mapping[str, Any]) -> None:
        """A picture is done."""
        printed = self._printed
        if printed.json:
            self._object({"source": name, "target": target, "report": report})
        elif printed.report:
            self._object({"file": target or name, **report})
        elif printed.regions:  # of which a custom provider reports none
            self._object({"file": name, "regions": report.get("regions", [])})
        elif printed.lines and target:
            self._print(f"{printable(target)}  {_summary(report)}")
        if not printed.json:
            self._warn(name, report.get("warnings", []))

    def failed(self, name: str, error: Exception) -> None:
        """A picture has failed, which is said at the end, too."""
        if self._printed.json:
            problem = {"type": type(error).__name__, "message": sentence(error, name)}
            self._object({"source": name, "error": problem})

    def _object(self, values: Mapping[str, Any]) -> None:
        self._print(json.dumps(values))

    def _print(self, line: str) -> None:
        """
        Raises:
            Stopped: standard output can't be written, though its reader is there.
        """
        if self._is_closed:
            return
        try:
            self._print_line(line)
        except BrokenPipeError:
            self._is_closed = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            raise Stopped(OSError(error.errno, error.strerror, "standard output")) from error

    def _warn(self, name: str, warnings: list[str]) -> None:
        """Each warning of the server, once."""
        for warning in warnings:
            self._warnings[warning] += 1
            if self._warnings[warning] == 1:
                complain(f"{printable(name)}: {printable(warning)}")

    def end(self) -> None:
        """How often warnings came again."""
        for warning, count in self._warnings.items():
            if count > 1:
                complain(f"{count} pictures: {printable(warning)}")


def take_any_text() -> None:
    """Has standard output and error escape what their encoding doesn't have, such as the letters
    of a file's name."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def complain(line: str) -> None:
    """Prints a line on standard error, above a bar."""
    print(line, file=sys.stderr, flush=True)


def _summary(report: Mapping[str, Any]) -> str:
    seconds = report["milliseconds"]["total"] / 1000
    network = report.get("network", report["model"])  # of a family
    if "input" not in report:  # by a custom provider
        return f"in {seconds:.2f} s by {network}"
    before, after = report["input"], report["output"]
    sizes = [f"{side['width']}x{side['height']}" for side in (before, after)]
    return f"{' to '.join(sizes)} in {seconds:.2f} s by {network}"
