"""What a command of an action does: it plans, processes, and says what failed."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from sakuga.cli.errors import INTERRUPTED, plain_errors, printable, refusals, sentence
from sakuga.cli.lines import Lines, Printed, complain
from sakuga.cli.running import Run, carried_out, local_server
from sakuga.files import Plan, PlanOptions, plan, plan_reading
from sakuga.files.naming import known_sizes
from sakuga.files.outputs import is_standard_output
from sakuga.files.sources import STANDARD
from sakuga_core.actions import Action
from sakuga_core.config.schema import Config
from sakuga_core.errors import BadOption
from sakuga_core.formats import FORMATS
from sakuga_core.options import parse_options
from sakuga_core.options.upscale import SIZES

SHOWN = 3  # names in a line that stands for many

# Options on which the names of results depend.
NAMING = {"model", "format", "animation", "only_mask", "background_color", "result", *SIZES}


@dataclass(frozen=True)
class Files:
    """What a command says of its files."""

    inputs: tuple[str, ...]
    output: str | None
    skip_existing: bool
    overwrite: bool

    @property
    def to_standard_output(self) -> bool:
        """Whether the result is written there."""
        alone = self.output is None and self.inputs == (STANDARD,)
        return alone or (self.output is not None and is_standard_output(self.output))


@dataclass(frozen=True)
class Mode:
    """What a command prints, and whether it writes."""

    report: bool
    as_json: bool
    quiet: bool
    detect_only: bool = False
    """Print the detected regions, and write no file…"""
    show_regions: bool = False
    """…unless it is the picture with the regions drawn on it."""

    @property
    def options(self) -> dict[str, str]:
        """The options of the request that follow."""
        return {"result": "regions"} if self.detect_only or self.show_regions else {}

    @property
    def writes(self) -> bool:
        """Whether there are files to write."""
        return self.show_regions or not self.detect_only

    def printed(self, files: Files, count: int) -> Printed:
        """What is printed of so many pictures."""
        in_bar = count > 1 and sys.stdout.isatty() and sys.stderr.isatty() and not self.quiet
        return Printed(
            in_bar=in_bar,
            json=self.as_json,
            report=self.report,
            regions=self.detect_only and not self.show_regions,
            lines=not (self.quiet or in_bar or files.to_standard_output),
        )


@dataclass(frozen=True)
class Command:
    """One call of a command."""

    config: Config
    action: Action
    files: Files
    mode: Mode
    embedded: bool

    def run(self, flags: Mapping[str, Any]) -> None:
        """Plans, then processes, then says what failed.

        Args:
            flags: the options that were given.

        Raises:
            Refused: it can't be carried out as it is given.
            ClickException: something failed.
            SystemExit: with INTERRUPTED.
        """
        options: dict[str, Any] = {**flags, **self.mode.options}
        with plain_errors():
            with refusals():
                made = self._plan(options)
            if made.format:
                options["format"] = made.format
            self._say(made, options)
            if _lossless(made):
                options.pop("quality", None)  # the server would say it of each picture
            failed = self._unreadable(made)
            if made.tasks:
                failed |= self._process(made, options)
        _conclude(failed, len(made.tasks) + len(made.found.failures))

    def _unreadable(self, made: Plan) -> dict[str, str]:
        """Names of what couldn't be read, and why."""
        lines = Lines(self.mode.printed(self.files, len(made.tasks)), click.echo)
        for name, error in made.found.failures:
            lines.failed(name, error)
        return {name: sentence(error, name) for name, error in made.found.failures}

    def _plan(self, options: Mapping[str, Any]) -> Plan:
        """
        Raises:
            BadInput, OSError: it can't be done; see `sakuga.files.plan`.
        """
        given = parse_options(self.action.options, options)  # once, before each picture fails
        effective = self._effective(options)
        if self.mode.writes and effective.get("format") == "raw":
            raise BadOption(
                "option 'format' is 'raw', which is no file; allowed here: "
                + ", ".join(row.name for row in FORMATS if row.writes)
            )
        complete = parse_options(self.action.options, effective)
        if not self.mode.writes:
            return plan_reading(self.files.inputs, self.config.limits.input_bytes)
        planned = PlanOptions(
            action=self.action.command,
            model=effective["model"],
            format=complete.format,
            format_flag=given.format,
            sizes=self._sizes(effective),
            frames=complete.animation == "all",
            adds_alpha=complete.adds_alpha,
            skip_existing=self.files.skip_existing,
            overwrite=self.files.overwrite,
            most=self.config.limits.input_bytes,
        )
        return plan(self.files.inputs, self.files.output, planned)

    def _effective(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options of the requests with those of config.yaml, as far as files depend on them."""
        named = {name: value for name, value in options.items() if name in NAMING}
        return self.config.options_for(self.action.name, named)

    def _sizes(self, options: Mapping[str, Any]) -> Mapping[str, object]:
        """The sizes of results that this machine knows, for a pattern that names them."""
        from sakuga_core.repository.writer import known

        if "{" not in (self.files.output or ""):
            return {}
        if self.action.kind != "upscale" or options.get("result") in ("restored", "regions"):
            return {"scale": 1}
        if any(options.get(name) is not None for name in SIZES):
            return known_sizes(options)
        network = known(self.config).get(options["model"])
        return {"scale": network.scale} if network else {}

    def _say(self, made: Plan, options: Mapping[str, Any]) -> None:
        """What is left out, and what has no effect.

        Raises:
            ClickException: there is nothing at all.
        """
        skipped = made.found.skipped.items() if not self.mode.quiet else ()
        for reason, names in skipped:
            complain(f"Left out, {reason}: {_some(names)}")
        if not (made.tasks or made.existing or made.found.failures):
            raise click.ClickException("no picture found")
        if self.mode.quiet:
            return
        if made.existing:
            complain(f"There already: {_some(made.existing)}")
        if options.get("quality") and (titles := _lossless(made)):
            lossy = _listed([row.title for row in FORMATS if row.writes and row.lossy])
            complain(f"--quality has no effect on {titles}; it has on {lossy}")

    def _process(self, made: Plan, options: Mapping[str, Any]) -> Mapping[str, str]:
        """Processes every picture; returns those that failed, and why.

        Raises:
            SakugaError, OSError: nothing can be processed, or no further picture.
            SystemExit: after Ctrl-C.
        """
        from sakuga.cli.progress import Display

        total, quiet = len(made.tasks), self.mode.quiet
        local = local_server(self.config, self.action, made, options, self.embedded, quiet)
        printed = self.mode.printed(self.files, total)
        display = Display(total=total, quiet=quiet)
        run = Run(made, self.action.name, options, printed, display)
        try:
            with display:
                error = carried_out(run, self.config, local)
        except KeyboardInterrupt:
            complain(f"Interrupted: {self._so_far(run, total)}")
            raise SystemExit(INTERRUPTED) from None
        if error:
            if run.done or run.failed:
                complain(f"Stopped: {self._so_far(run, total)}")
            raise error
        if printed.in_bar:
            complain(f"{run.done} of {total} pictures are done")
        return run.failed

    def _so_far(self, run: Run, total: int) -> str:
        """What is done, and how to go on."""
        done = f"{run.done} of {total} pictures are done"
        writes = self.mode.writes and not self.files.to_standard_output
        return f"{done}; the same command with --skip-existing goes on" if writes else done


def _lossless(made: Plan) -> str:
    """The formats of all results, if `quality` says something of none."""
    rows = {row for task in made.tasks if task.target for row in task.target.formats}
    return "" if any(row.lossy for row in rows) else _listed(sorted(row.title for row in rows))


def _listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: `a, b and c`."""
    *others, last = names or ("",)
    return f"{', '.join(others)} and {last}" if others else last


def _some(names: Sequence[str]) -> str:
    """How many names, and the first of them."""
    more = ", …" if len(names) > SHOWN else ""
    return f"{len(names)} ({', '.join(map(printable, names[:SHOWN]))}{more})"


def _conclude(failed: Mapping[str, str], total: int) -> None:
    """
    Raises:
        ClickException: something failed.
    """
    if not failed:
        return
    lines = [f"{printable(name)}: {reason}" for name, reason in failed.items()]
    if total == 1:
        raise click.ClickException(lines[0])
    raise click.ClickException("\n  ".join([f"{len(failed)} of {total} failed:", *lines]))
