"""The bars on a terminal; apart, so that rich is imported only where they are shown."""

import sys
from typing import TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from sakuga.cli.estimate import State

ROW_SECONDS = 2.0  # that a picture among several takes until it has a bar of its own
REFRESHES = 8  # of the bars in a second
NAME_WIDTH = 40


def bar(state: State, stream: TextIO) -> "Bar | None":
    """What shows a state on a terminal; None, if that can't move its cursor."""
    console = Console(file=stream)
    return None if console.is_dumb_terminal else Bar(state, console)


class Bar:
    """A bar for all pictures, and one for each that takes long; for a single picture its own."""

    def __init__(self, state: State, console: Console) -> None:
        self._state, self._console = state, console
        name = Column(no_wrap=True, overflow="ellipsis", max_width=NAME_WIDTH)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False, table_column=name),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[count]}", markup=False, table_column=Column(no_wrap=True)),
            _Left(state, Column(no_wrap=True)),
            console=console,
            refresh_per_second=REFRESHES,
            transient=True,
            redirect_stdout=False,  # it would be written to the stream of the bars
            expand=True,
        )
        several = state.total > 1
        label = "pictures" if several else ""
        self._all = self._bars.add_task(
            label, total=state.total if several else None, count="", main=True
        )
        self._rows: dict[str, TaskID] = {}

    def __enter__(self) -> object:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def show(self, name: str) -> None:
        if self._state.total > 1:
            self._show_all()
            self._show_row(name)
        else:
            self._show_part(self._all, name)

    def _show_all(self) -> None:
        state = self._state
        facts = (f"{state.ended}/{state.total}", state.speed, state.failures)
        completed = state.part * state.total
        self._bars.update(self._all, completed=completed, count=", ".join(filter(None, facts)))

    def _show_row(self, name: str) -> None:
        running = self._state.running.get(name)
        if running is None:
            if name in self._rows:
                self._bars.remove_task(self._rows.pop(name))
        elif self._state.clock() - running.start >= ROW_SECONDS and running.progress:
            if name not in self._rows:
                row = self._bars.add_task(_printable(name), total=None, count="", main=False)
                self._rows[name] = row
            self._show_part(self._rows[name], name)

    def _show_part(self, task: TaskID, name: str) -> None:
        """A picture's own progress."""
        running = self._state.running.get(name)
        self._bars.update(task, description=_printable(name))
        if running and running.progress:
            unit, done, total = running.progress
            self._bars.update(task, total=total, completed=done, count=f"{done}/{total} {unit}")

    def print(self, line: str) -> None:
        if sys.stdout.isatty():
            self._console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
        else:
            click.echo(line)


class _Left(ProgressColumn):
    """The time that all will still take."""

    max_refresh = 0.5

    def __init__(self, state: State, column: Column) -> None:
        super().__init__(column)
        self._state = state

    def render(self, task: Task) -> Text:
        left = self._state.left if task.fields["main"] else ""
        return Text(f"{left} left" if left else "")


def _printable(name: str) -> str:
    """A file's name without its folder, nor what would move the cursor."""
    return "".join(c if c.isprintable() else "\ufffd" for c in name.rpartition("/")[2])
