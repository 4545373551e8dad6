"""How far a command is: a bar on a terminal, now and then a line in a pipe, nothing when quiet."""

import sys
import time
from typing import TYPE_CHECKING, Protocol, Self, TextIO

import click

from sakuga.cli.estimate import Clock, Running, State

if TYPE_CHECKING:
    from sakuga_core.progress import Progress

LINE_SECONDS = 5.0  # between the lines in a pipe; what is done before the first has none


class View(Protocol):
    """A way to show a state, while a block runs."""

    def __enter__(self) -> object: ...

    def __exit__(self, *error: object) -> object: ...

    def show(self, name: str) -> None:
        """Something has changed about that picture."""
        ...

    def print(self, line: str) -> None:
        """As `Display.print`."""
        ...


class Display:
    """Shows how far a command is, while the block runs.

    Args:
        total: pictures to work on, at least 1; those that are left out don't count.
        quiet: show nothing; `print` prints in any case.
        stream: where it is shown, on a terminal as a bar, else as a line every few seconds; if
            unset, standard error.
        clock: seconds.
    """

    def __init__(
        self,
        total: int,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.is_quiet = quiet
        self._state = State(total, clock, clock())
        self._view = _view(self._state, quiet, sys.stderr if stream is None else stream)

    def __enter__(self) -> Self:
        self._view.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._view.__exit__(*error)

    def started(self, name: str) -> None:
        """A picture is being processed.

        Args:
            name: that no other picture has.
        """
        self._state.running[name] = Running(self._state.clock())
        self._changed(name)

    def progress(self, name: str, progress: "Progress") -> None:
        """A picture that was started, and isn't done, is so far."""
        if running := self._state.running.get(name):
            running.progress = progress
            self._changed(name)

    def done(self, name: str, pixels: int) -> None:
        """A picture is done.

        Args:
            pixels: how many it has, for the speed.
        """
        self._state.running.pop(name, None)
        self._state.done += 1
        self._state.pixels += pixels
        self._changed(name)

    def failed(self, name: str) -> None:
        """A picture, started or not, has failed."""
        self._state.running.pop(name, None)
        self._state.failed += 1
        self._changed(name)

    def print(self, line: str) -> None:
        """Prints a line on standard output, above the bar if both are on a terminal.

        Raises:
            OSError: it can't be written, as after a pipe was closed.
        """
        self._view.print(line)

    def _changed(self, name: str) -> None:
        self._state.estimate()
        self._view.show(name)


def _view(state: State, quiet: bool, stream: TextIO | None) -> View:
    if quiet or stream is None:  # which standard error is, where it was closed
        return Hidden()
    if stream.isatty():
        from sakuga.cli.bar import bar

        return bar(state, stream) or LineView(state, stream)
    return LineView(state, stream)


class Hidden:
    """Shows nothing."""

    def __enter__(self) -> object:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def show(self, name: str) -> None:
        pass

    def print(self, line: str) -> None:
        click.echo(line)


class LineView(Hidden):
    """Shows a line every few seconds."""

    def __init__(self, state: State, stream: TextIO) -> None:
        self._state, self._stream = state, stream
        self._last = state.start

    def show(self, name: str) -> None:
        now, line = self._state.clock(), self._line(name)
        if line and now - self._last >= LINE_SECONDS:
            self._last = now
            print(line, file=self._stream, flush=True)

    def _line(self, name: str) -> str:
        state = self._state
        left = f"about {state.left} left" if state.left else ""
        if state.total > 1:
            count = f"{state.ended} of {state.total} pictures"
            return ", ".join(filter(None, (count, state.speed, state.failures, left)))
        running = state.running.get(name)
        if running is None or running.progress is None:
            return ""
        unit, done, total = running.progress
        return ", ".join(filter(None, (f"{name}: {done} of {total} {unit}", left)))
