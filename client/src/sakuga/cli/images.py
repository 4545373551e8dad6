"""The commands of the actions: files and folders in, files out, every option a flag."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sakuga.cli.errors import plain_errors
from sakuga.cli.flags import option_flags
from sakuga.cli.settings import Settings
from sakuga.files import FileTask, find
from sakuga.local import AUTO, LocalServer
from sakuga_core import protocol
from sakuga_core.actions import Action
from sakuga_core.atomic import write_whole
from sakuga_core.config.schema import Config
from sakuga_core.errors import BadOption, SakugaError
from sakuga_core.options import parse_options

if TYPE_CHECKING:
    from sakuga.images import Images

EXISTING = click.Path(exists=True, path_type=Path)
IN_FLIGHT = 4  # requests of one command: the server's default of upscale_workers
INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it

Failures = dict[Path, SakugaError | OSError]


@dataclass(frozen=True)
class Output:
    """What a command prints and writes."""

    report: bool
    """Print the server's report, as JSON."""
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


def command_of(action: Action) -> click.Command:
    """The command of an action."""
    detects = "regions" in action.results

    @click.command(action.command, help=f"{action.summary} {'PICTURES are files or folders.'}")
    @click.argument("pictures", nargs=-1, required=True, type=EXISTING)
    @click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("out"))
    @click.option("--embedded", is_flag=True, help="start a server for this command in any case")
    @click.option("--report", is_flag=True, help="print the server's reports as JSON")
    @option_flags(action.options)
    @(_detection_flags if detects else _no_flags)
    @click.pass_obj
    def command(
        settings: Settings,
        /,
        pictures: tuple[Path, ...],
        output: Path,
        embedded: bool,
        report: bool,
        detect_only: bool = False,
        show_regions: bool = False,
        **flags: Any,
    ) -> None:
        printed = Output(report, detect_only, show_regions)
        chosen = {name: value for name, value in flags.items() if value is not None}
        _run(settings.config, action, pictures, output, embedded, printed, chosen)

    return command


def _detection_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Flags that request the detected regions instead of a repaired picture."""
    for name, text in (
        ("--show-regions", "write the original picture with the detected regions drawn on it"),
        ("--detect-only", "print the detected regions as JSON, and repair nothing"),
    ):
        command = click.option(name, is_flag=True, help=text)(command)
    return command


def _no_flags(command: Callable[..., None]) -> Callable[..., None]:
    return command


def _run(
    config: Config,
    action: Action,
    pictures: tuple[Path, ...],
    output: Path,
    embedded: bool,
    printed: Output,
    chosen: Mapping[str, Any],
) -> None:
    options = {**chosen, **printed.options}
    with plain_errors():
        parse_options(action.options, options)  # once, before a folder fails file by file
        tasks = find(pictures, output, options)
        if not tasks:
            raise click.ClickException("no picture found; they end in .png, .jpg, .webp, …")
        if printed.writes:
            _check_is_file(config, action, tasks[0].options)
        local = _local(config, action, tasks, embedded)
        try:
            failed = asyncio.run(_process_all(config, local, action, tasks, printed))
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
    if failed:
        names = "\n".join(f"  {path}: {error}" for path, error in failed.items())
        raise click.ClickException(f"{len(failed)} of {len(tasks)} failed:\n{names}")


def _check_is_file(config: Config, action: Action, options: Mapping[str, Any]) -> None:
    """
    Raises:
        BadOption: the result would be pixels, by a flag or by config.yaml.
    """
    named = {name: value for name, value in options.items() if name in ("model", "format")}
    if config.options_for(action.name, named).get("format") == "raw":
        raise BadOption("option 'format' is 'raw', which is no file; allowed here: png, webp, jpeg")


def _local(
    config: Config, action: Action, tasks: list[FileTask], embedded: bool
) -> LocalServer | None:
    """The server of this machine, already starting if it has to be; None where an address says
    which server it is."""
    if config.server.url != AUTO and not embedded:
        return None
    models, workers = _models(config, action, tasks[0].options), min(len(tasks), IN_FLIGHT)
    local = LocalServer(config, models, workers=workers, always_start=embedded)
    local.begin()
    return local


def _models(config: Config, action: Action, options: Mapping[str, Any]) -> list[str]:
    """The Triton models that an action needs; a custom provider may need any."""
    if config.block(action.name).provider:
        return []
    named = {name: value for name, value in options.items() if name == "model"}
    model = config.options_for(action.name, named)["model"]
    folder = protocol.folder(model)
    # What loads further networks is needed where one isn't there to be loaded now.
    is_exported = any((config.server.repository / folder / "1").glob("model.*"))
    loader = [] if is_exported and not action.loads_more else [protocol.NETWORKS]
    return [*loader, *action.models_for(model)]


async def _process_all(
    config: Config,
    local: LocalServer | None,
    action: Action,
    tasks: list[FileTask],
    printed: Output,
) -> Failures:
    """Processes every file, a few at a time; returns those that failed, and why."""
    from sakuga.images import connect  # imports gRPC, while the embedded server starts

    failed: Failures = {}
    slots = asyncio.Semaphore(IN_FLIGHT)
    url = AUTO if local else None

    async def one(images: "Images", task: FileTask, bar: Any) -> None:
        async with slots:
            try:
                await _process(images, action, task, printed, quiet=bar is not None)
            except (SakugaError, OSError) as error:
                failed[task.source] = error
        if bar is not None:
            bar.update(1)

    with _progress(len(tasks)) as bar:
        async with connect(config, url=url, local=local) as images:
            await asyncio.gather(*(one(images, task, bar) for task in tasks))
    return failed


def _progress(count: int) -> AbstractContextManager[Any]:
    """A progress bar where there is a terminal and more than one picture; else None."""
    if count < 2 or not sys.stderr.isatty():
        return nullcontext()
    return click.progressbar(length=count, label="pictures", show_pos=True, file=sys.stderr)


async def _process(
    images: "Images", action: Action, task: FileTask, printed: Output, quiet: bool
) -> None:
    reply = await images.run(task.source.read_bytes(), action.name, task.options)
    if printed.writes:
        write_whole(task.target, reply.result)
    if printed.report:
        click.echo(json.dumps({"file": str(task.target), **reply.report}))
    elif printed.detect_only:
        regions = reply.report.get("regions", [])  # a custom provider reports none
        click.echo(json.dumps({"file": str(task.source), "regions": regions}))
    elif not quiet:
        click.echo(f"{task.target}  {_summary(reply.report)}")
    for warning in reply.report["warnings"]:
        click.echo(f"{task.source}: {warning}", err=True)


def _summary(report: Mapping[str, Any]) -> str:
    seconds = report["milliseconds"]["total"] / 1000
    if "input" not in report:  # by a custom provider
        return f"in {seconds:.2f} s by {report['model']}"
    before, after = report["input"], report["output"]
    sizes = [f"{side['width']}x{side['height']}" for side in (before, after)]
    return f"{' to '.join(sizes)} in {seconds:.2f} s by {report['model']}"
