"""The command `sakuga`."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from sakuga.cli import admin
from sakuga.cli.admin import plain_errors, server_for
from sakuga.cli.flags import option_flags
from sakuga.files import Job, find
from sakuga.images import Images, connect
from sakuga_core.actions import ImageAction
from sakuga_core.config.file import load_config
from sakuga_core.config.schema import Config
from sakuga_core.errors import SakugaError
from sakuga_core.options import (
    FixArtifactsOptions,
    PictureOptions,
    RembgOptions,
    UpscaleOptions,
    parse_options,
)

P = ParamSpec("P")
T = TypeVar("T")

EXISTING = click.Path(exists=True, path_type=Path)
IN_FLIGHT = 4  # pictures of one command under way at once: the server's default of pipelines


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sakuga")
@click.option("--config", "file", type=click.Path(), help="config.yaml to use")
@click.option("--url", help="host:port of Triton's gRPC")
@click.pass_context
def main(context: click.Context, file: str | None, url: str | None) -> None:
    """Upscale, enhance, repair and cut out drawn and anime pictures on NVIDIA Triton."""
    with plain_errors():
        config = load_config(file)
    if url:
        config.server.url = url
    context.obj = config


@dataclass(frozen=True)
class Output:
    """What a command tells of each picture."""

    report: bool
    """The server's report, as JSON…"""
    detect_only: bool = False
    """…or the regions that were found, and no file is written…"""
    show_regions: bool = False
    """…unless it is the one with the regions drawn over the picture."""

    @property
    def options(self) -> dict[str, str]:
        return {"result": "regions"} if self.detect_only or self.show_regions else {}

    @property
    def writes(self) -> bool:
        return self.show_regions or not self.detect_only


def detection_flags(command: Callable[P, T]) -> Callable[P, T]:
    """Flags of `fix-artifacts` that ask for what was found, not for a repaired picture."""
    for name, text in (
        ("--show-regions", "write the picture as it came, with what was found drawn over it"),
        ("--detect-only", "print what was found, as JSON, and repair nothing"),
    ):
        command = click.option(name, is_flag=True, help=text)(command)
    return command


def picture_command(
    action: ImageAction,
    kind: type[PictureOptions],
    help_text: str,
    more_flags: Callable[[Callable[..., None]], Callable[..., None]] = lambda command: command,
) -> None:
    """Adds the command of an action: files and folders in, files out, every option a flag."""

    @main.command(action.value.replace("_", "-"), help=help_text)
    @click.argument("pictures", nargs=-1, required=True, type=EXISTING)
    @click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("out"))
    @click.option("--embedded", is_flag=True, help="start a server for this command alone")
    @click.option("--report", is_flag=True, help="print the server's reports, as JSON")
    @option_flags(kind)
    @more_flags
    @click.pass_obj
    def command(
        config: Config,
        /,
        pictures: tuple[Path, ...],
        output: Path,
        embedded: bool,
        report: bool,
        detect_only: bool = False,
        show_regions: bool = False,
        **flags: Any,
    ) -> None:
        said = Output(report, detect_only, show_regions)
        given = {name: value for name, value in flags.items() if value is not None}
        options = {**given, **said.options}
        with plain_errors():
            parse_options(kind, options)  # once, before a folder fails file by file
            jobs = find(pictures, output, options)
            if not jobs:
                raise click.ClickException("no picture found; they end in .png, .jpg, .webp, …")
            with server_for(config, embedded, action, options) as url:
                failed = asyncio.run(_process_all(config, url, action, jobs, said))
        if failed:
            names = "\n".join(f"  {path}: {error}" for path, error in failed.items())
            raise click.ClickException(f"{len(failed)} of {len(jobs)} failed:\n{names}")


picture_command(
    ImageAction.UPSCALE,
    UpscaleOptions,
    "Upscale PICTURES, files or folders, into the folder (or file) OUTPUT.",
)
picture_command(
    ImageAction.ENHANCE,
    UpscaleOptions,
    "Upscale PICTURES, files or folders, and invent fine detail.",
)
picture_command(
    ImageAction.REMBG,
    RembgOptions,
    "Cut the figures of PICTURES, files or folders, out of their background.",
)
picture_command(
    ImageAction.FIX_ARTIFACTS,
    FixArtifactsOptions,
    "Find JPEG blocks, banding and specks in PICTURES, files or folders; undo them, then upscale.",
    detection_flags,
)


async def _process_all(
    config: Config, url: str, action: ImageAction, jobs: list[Job], said: Output
) -> dict[Path, SakugaError | OSError]:
    """Does every job, a few at a time; gives those that failed, and why."""
    failed: dict[Path, SakugaError | OSError] = {}
    places = asyncio.Semaphore(IN_FLIGHT)

    async def one(images: Images, job: Job, bar: Any) -> None:
        async with places:
            try:
                await _process(images, action, job, said, quiet=bar is not None)
            except (SakugaError, OSError) as error:
                failed[job.source] = error
        if bar is not None:
            bar.update(1)

    with _progress(len(jobs)) as bar:
        async with connect(config, url=url) as images:
            await asyncio.gather(*(one(images, job, bar) for job in jobs))
    return failed


def _progress(count: int) -> AbstractContextManager[Any]:
    """A bar where there is a terminal and more than one picture; it gives None elsewhere."""
    if count < 2 or not sys.stderr.isatty():
        return nullcontext()
    return click.progressbar(length=count, label="pictures", show_pos=True, file=sys.stderr)


async def _process(
    images: Images, action: ImageAction, job: Job, said: Output, quiet: bool
) -> None:
    reply = await images.run(job.source.read_bytes(), action, job.options)
    if said.writes:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        job.target.write_bytes(reply.result)
    if said.report:
        click.echo(json.dumps({"file": str(job.target), **reply.report}))
    elif said.detect_only:
        regions = reply.report.get("regions", [])  # a provider of the user's own tells none
        click.echo(json.dumps({"file": str(job.source), "regions": regions}))
    elif not quiet:
        click.echo(f"{job.target}  {_summary(reply.report)}")
    for warning in reply.report["warnings"]:
        click.echo(f"{job.source}: {warning}", err=True)


def _summary(report: Mapping[str, Any]) -> str:
    seconds = report["milliseconds"]["total"] / 1000
    if "input" not in report:  # by a provider of the user's own
        return f"in {seconds:.2f} s by {report['model']}"
    before, after = report["input"], report["output"]
    sizes = [f"{side['width']}x{side['height']}" for side in (before, after)]
    return f"{' to '.join(sizes)} in {seconds:.2f} s by {report['model']}"


for command in admin.COMMANDS:
    main.add_command(command)
