"""The commands of the actions: files and folders in, files out, every option a flag."""

from collections.abc import Callable
from typing import Any

import click

from sakuga.cli.command import Command, Files, Mode
from sakuga.cli.errors import INTERRUPTED
from sakuga.cli.flags import ActionCommand, file_flags, option_flags
from sakuga.cli.lines import take_any_text
from sakuga.cli.settings import Settings
from sakuga_core.actions import Action

ABOUT = (
    "PICTURES are files, folders, comic archives (.cbz, .zip), addresses such as s3://bucket/a.png,"
    " or - for standard input. Folders and archives keep their structure in the output."
)
DEFAULTS = (
    "config.yaml can set other defaults; `sakuga config show` prints the values in effect. "
    "docs/guides/folders.md describes names, archives, exit statuses and JSON."
)


def command_of(action: Action) -> click.Command:
    """The command of an action."""
    detects = "regions" in action.results

    @click.command(
        action.command, cls=ActionCommand, help=f"{action.summary}\n\n{ABOUT}", epilog=DEFAULTS
    )
    @click.argument("pictures", nargs=-1, required=True)
    @file_flags
    @option_flags(action)
    @(_detection_flags if detects else _no_flags)
    @click.pass_obj
    def command(
        settings: Settings,
        /,
        pictures: tuple[str, ...],
        output: str | None,
        skip_existing: bool,
        overwrite: bool,
        embedded: bool,
        report: bool,
        as_json: bool,
        quiet: bool,
        detect_only: bool = False,
        show_regions: bool = False,
        **flags: Any,
    ) -> None:
        files = Files(pictures, output, skip_existing, overwrite)
        mode = Mode(report, as_json, quiet, detect_only, show_regions)
        _check_together(files, mode)
        chosen = {name: value for name, value in flags.items() if value is not None}
        take_any_text()
        try:
            Command(settings.config, action, files, mode, embedded).run(chosen)
        except KeyboardInterrupt:  # before the first picture
            raise SystemExit(INTERRUPTED) from None

    return command


def _check_together(files: Files, mode: Mode) -> None:
    """
    Raises:
        UsageError: two flags contradict each other.
    """
    if files.skip_existing and files.overwrite:
        raise click.UsageError("--skip-existing and --overwrite contradict each other")
    if files.to_standard_output and mode.writes and (mode.as_json or mode.report):
        flag = "--json" if mode.as_json else "--report"
        raise click.UsageError(f"{flag} and the picture can't both go to standard output")


def _detection_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Flags that request the detected regions instead of a repaired picture."""
    for name, text in (
        ("--show-regions", "write the original picture with the detected regions drawn on it"),
        ("--detect-only", "print the detected regions as JSON, without repairing them"),
    ):
        command = click.option(name, is_flag=True, help=text)(command)
    return command


def _no_flags(command: Callable[..., None]) -> Callable[..., None]:
    return command
