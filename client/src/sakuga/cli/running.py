"""Runs a plan: a few pictures at a time, each written and printed as it ends."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from sakuga.cli.errors import concerns_all, printable, sentence
from sakuga.cli.lines import Failure, Lines, Printed, Stopped
from sakuga.files import Plan, Task
from sakuga.files.naming import number
from sakuga.local import AUTO, LocalServer
from sakuga_core.config.schema import Config
from sakuga_core.errors import BadInput, SakugaError
from sakuga_core.formats import BY_NAME, HEAD, FileFormat, recognised

if TYPE_CHECKING:
    from sakuga.cli.progress import Display
    from sakuga.images import Images
    from sakuga.reply import Reply

IN_FLIGHT = 4  # requests of one command: the server's default of upscale_workers


class Run:
    """A plan that is carried out.

    Args:
        plan: what to do.
        action: by its name.
        options: of every request.
        printed: what is printed of each picture.
        display: shows how far it is…
        is_quiet: …unless nothing is to be shown.
    """

    def __init__(
        self,
        plan: Plan,
        action: str,
        options: Mapping[str, Any],
        printed: Printed,
        display: "Display",
        is_quiet: bool = False,
    ) -> None:
        self.plan, self.action, self.options = plan, action, options
        self.done = 0
        self.failed: dict[str, str] = {}
        """Names of the pictures that failed, and why."""
        self._lines = Lines(printed, display.print)
        self._display, self._is_quiet = display, is_quiet
        self._first: Counter[str] = Counter()

    async def all(self, images: "Images") -> Failure | None:
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
        told = None if self._is_quiet else partial(self._display.progress, name)
        self._display.started(name)
        try:
            data = await asyncio.to_thread(task.source.read)
            reply = await images.run(data, self.action, self.options, on_progress=told)
            del data
            await _to_its_end(self._finish(task, reply))
        except (SakugaError, OSError) as error:
            self._fail(task, error)

    async def _finish(self, task: Task, reply: "Reply") -> None:
        """Writes a result, and says that it is done."""
        name, output = task.source.name, reply.report.get("output", {})
        target = await asyncio.to_thread(_write, task, reply) if task.target else None
        self.done += 1
        self._display.done(name, output.get("width", 0) * output.get("height", 0))
        self._lines.done(name, target, reply.report)

    def _fail(self, task: Task, error: Failure) -> None:
        """
        Raises:
            Stopped: all others would fail, too.
        """
        name, reason = task.source.name, sentence(error, task.source.name)
        self._lines.failed(name, error)
        if concerns_all(error) or self._fails_always(error):
            raise Stopped(error)
        if lost := task.target.give_up() if task.target else "":
            reason += f"; so {printable(lost)} isn't written"
        self.failed[name] = reason
        self._display.failed(name)

    def _fails_always(self, error: Failure) -> bool:
        """Whether the first pictures all failed for one reason, which isn't in themselves."""
        if self.done or isinstance(error, BadInput):
            return False
        self._first[str(error)] += 1
        return self._first[str(error)] >= IN_FLIGHT


def carried_out(run: Run, config: Config, local: LocalServer | None) -> Failure | None:
    """Carries out a plan, by the server of this machine or the one that `config` names.

    Returns:
        See `Run.all`.

    Raises:
        SakugaError: no server can be had.
        KeyboardInterrupt: after Ctrl-C; nothing unfinished is left.
    """
    try:
        from sakuga.images import connect  # imports gRPC, while the embedded server starts

        async def all_of_it() -> Failure | None:
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
