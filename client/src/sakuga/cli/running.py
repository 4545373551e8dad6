"""Runs a plan: starts the server that it needs, then processes a few pictures at a time, and writes
and prints each as it ends."""

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from sakuga.cli.errors import concerns_all, printable, sentence
from sakuga.cli.lines import Lines, Printed, Stopped
from sakuga.files import Plan, Task
from sakuga.files.naming import number
from sakuga.files.stores import STANDARD_OUTPUT
from sakuga.files.targets import GivenUp
from sakuga.local import AUTO, LocalServer
from sakuga_core import protocol
from sakuga_core.actions import Action
from sakuga_core.config.schema import Config
from sakuga_core.errors import BadInput, SakugaError
from sakuga_core.formats import BY_NAME, HEAD, FileFormat, recognised

if TYPE_CHECKING:
    from sakuga.cli.progress import Display
    from sakuga.images import Images
    from sakuga.reply import Reply

log = logging.getLogger("sakuga")

IN_FLIGHT = 4  # requests of one command: the server's default of upscale_workers


def local_server(
    config: Config,
    action: Action,
    made: Plan,
    options: Mapping[str, Any],
    always_start: bool,
    quiet: bool,
) -> LocalServer | None:
    """The server of this machine, already starting if it has to be; None where an address says
    which server it is.

    Args:
        config: of the server.
        action: what is done…
        made: …to which pictures…
        options: …as requested.
        always_start: start one even if another answers.
        quiet: whether nobody wants to know how far it is.
    """
    if config.server.url != AUTO and not always_start:
        return None
    models = _models(config, action, made, options, quiet)
    workers = min(len(made.tasks), IN_FLIGHT)
    local = LocalServer(config, models, workers=workers, always_start=always_start)
    local.begin()
    return local


def _models(
    config: Config, action: Action, made: Plan, options: Mapping[str, Any], quiet: bool
) -> list[str]:
    """The Triton models that the pictures need; a custom provider may need any."""
    if config.block(action.name).provider:
        return []
    named = {name: value for name, value in options.items() if name == "model"}
    model = config.options_for(action.name, named)["model"]
    folder = protocol.folder(model)
    # What loads further networks is needed where one isn't there to be loaded now.
    is_exported = any((config.server.repository / folder / "1").glob("model.*"))
    loader = [] if is_exported and not action.loads_more else [protocol.NETWORKS]
    return [*loader, *action.models_for(model, progress=not quiet)]


class Run:
    """A plan that is carried out.

    Args:
        plan: what to do.
        action: by its name.
        options: of every request.
        printed: what is printed of each picture.
        display: shows how far it is.
    """

    def __init__(
        self,
        plan: Plan,
        action: str,
        options: Mapping[str, Any],
        printed: Printed,
        display: "Display",
    ) -> None:
        self.plan, self.action, self.options = plan, action, options
        self.done = 0
        self.failed: dict[str, str] = {}
        """Names of the pictures that failed, and why."""
        self._lines = Lines(printed, display.print)
        self._display = display
        self._first: Counter[str] = Counter()

    async def all(self, images: "Images") -> Exception | None:
        """Processes every picture.

        Returns:
            The error that ended it before, if one did: every other picture would meet it, too.
        """
        tasks = iter(self.plan.tasks)
        ended: list[BaseException] = []
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(IN_FLIGHT):
                    group.create_task(self._worker(images, tasks))
        except* Stopped as stopped:
            ended += stopped.exceptions
        finally:
            self._lines.end()
        return next((each.error for each in ended if isinstance(each, Stopped)), None)

    async def _worker(self, images: "Images", tasks: Iterator[Task]) -> None:
        for task in tasks:
            if task.target and task.target.is_given_up:
                self._display.failed(task.source.name)
            else:
                await self._one(images, task)

    async def _one(self, images: "Images", task: Task) -> None:
        """
        Raises:
            Stopped: it failed, and so would all others.
        """
        name = task.source.name
        on_progress = None if self._display.is_quiet else partial(self._display.progress, name)
        self._display.started(name)
        try:
            data = await asyncio.to_thread(task.source.read)
            reply = await images.run(data, self.action, self.options, on_progress=on_progress)
            del data
            await _to_its_end(self._finish(task, reply))
        except GivenUp:  # by another page of its archive, which is named
            self._display.failed(name)
        except Stopped:
            raise
        except Exception as error:
            self._fail(task, error)

    async def _finish(self, task: Task, reply: "Reply") -> None:
        """Writes a result, and says that it is done."""
        name, output = task.source.name, reply.report.get("output", {})
        target = await asyncio.to_thread(_write, task, reply) if task.target else None
        self.done += 1
        self._display.done(name, output.get("width", 0) * output.get("height", 0))
        self._lines.done(name, target, reply.report)

    def _fail(self, task: Task, error: Exception) -> None:
        """
        Raises:
            Stopped: all others would fail, too.
        """
        name, reason = task.source.name, sentence(error, task.source.name)
        log.debug("%s failed", printable(name), exc_info=error)
        self._lines.failed(name, error)
        if self._ends_all(error):
            raise Stopped(error)
        if lost := task.target.give_up() if task.target else "":
            reason += f"; so {printable(lost)} isn't written"
        self.failed[name] = reason
        self._display.failed(name)

    def _ends_all(self, error: Exception) -> bool:
        """Whether all other pictures would fail, too."""
        if isinstance(error, OSError) and error.filename == STANDARD_OUTPUT:
            return False  # it takes one picture
        return concerns_all(error) or self._fails_always(error)

    def _fails_always(self, error: Exception) -> bool:
        """Whether the first pictures all failed for one reason, which isn't in themselves."""
        is_known = isinstance(error, SakugaError | OSError)
        if self.done or isinstance(error, BadInput) or not is_known:
            return False
        self._first[str(error)] += 1
        return self._first[str(error)] >= IN_FLIGHT


def carried_out(run: Run, config: Config, local: LocalServer | None) -> Exception | None:
    """Carries out a plan, by the server of this machine or the one that `config` names.

    Returns:
        See `Run.all`.

    Raises:
        SakugaError: no server can be had.
        KeyboardInterrupt: after Ctrl-C; nothing unfinished is left.
    """
    try:
        from sakuga.images import connect  # imports gRPC, while the embedded server starts

        async def all_of_it() -> Exception | None:
            async with connect(config, url=AUTO if local else None, local=local) as images:
                return await run.all(images)

        return asyncio.run(all_of_it())
    finally:
        run.plan.close()
        if local:
            local.close()


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Does work that can't be given up half-way: who is cancelled waits for its end."""
    running = asyncio.ensure_future(work)
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _write(task: Task, reply: "Reply") -> str:
    """
    Raises:
        OSError, BadInput: it can't be written.
    """
    assert task.target
    return task.target.write(reply.result, _format(reply), _sizes(reply.report))


def _format(reply: "Reply") -> FileFormat | None:
    """The format of a result: of its content or, for TGA, which has no mark, by the report."""
    named = reply.report.get("output", {}).get("format")
    return recognised(reply.result[:HEAD]) or BY_NAME.get(named)


def _sizes(report: Mapping[str, Any]) -> dict[str, object] | None:
    """The fields of a pattern that are known now; None: a custom provider doesn't tell them."""
    if "width" not in report.get("output", {}):
        return None
    before, after = report["input"], report["output"]
    scale = number(after["width"] / before["width"])
    return {"scale": scale, "width": after["width"], "height": after["height"]}
