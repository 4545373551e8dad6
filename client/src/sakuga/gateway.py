"""Calls to a gateway: the transport over HTTP."""

import asyncio
import logging
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from sakuga import answers
from sakuga.http import Http, unhurried
from sakuga.reply import Reply
from sakuga.retry import Attempts, Budget, Deadline, Slots, repeated, within
from sakuga.sending import Picture
from sakuga.streaming import OnProgress
from sakuga.transport import Transport
from sakuga_core import errors
from sakuga_core.actions import Action
from sakuga_core.config.schema import Config
from sakuga_core.config.server import Server
from sakuga_core.progress import Progress

T = TypeVar("T")

log = logging.getLogger("sakuga")

KEY = "SAKUGA_KEY"  # in the environment
SILENT_SECONDS = 60  # without events; a gateway sends comments every 15, where nothing happens
END_SECONDS = 10  # that the end of a job may take, once its caller doesn't wait any more
# Half of what a gateway allows one caller by default, so that two programs may share a key.
IN_FLIGHT = 8


@dataclass
class _Job:
    """A job of this client."""

    path: str
    last: str = "0"
    """The last event that came."""


class Gateway(Transport):
    """A gateway, or several behind one address, reached over HTTP from one event loop.

    A call without progress is one request. One with progress is a job, whose events are followed
    across broken connections, and which is removed in the end.

    Args:
        server: how it is reached. A change takes effect with the next call; calls in flight go on.
        key: of this caller; if unset, SAKUGA_KEY of the environment.
        url: replaces the one in `server`.

    Raises:
        ConfigError: the address or the key can't be used.
    """

    def __init__(self, server: Server, key: str | None = None, url: str | None = None) -> None:
        self.server = server
        self._http = Http(server, key or os.environ.get(KEY, ""), url)
        self._budget, self._slots = Budget(), Slots()
        self._works: set[asyncio.Task[Reply]] = set()

    @property
    def url(self) -> str:
        """The address as configured, without a user's name and password."""
        return self._http.url

    async def close(self) -> None:
        """Ends the calls in flight, with their jobs, and closes the connections."""
        works = list(self._works)
        for work in works:
            if not work.cancelling():  # else it is ending already
                work.cancel()
        if works:
            await asyncio.wait(works)
        await self._http.close()

    def options_for(
        self, config: Config, action: Action, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Those that the configuration or the request sets; for the others the gateway's own
        config.yaml holds."""
        return config.set_options_for(action.name, request)

    async def run(
        self,
        action: Action,
        image: bytes,
        options: Mapping[str, Any],
        deadline: Deadline | None = None,
        on_progress: OnProgress | None = None,
    ) -> Reply:
        """See `Transport.run`.

        Raises:
            Cancelled: the connection was closed meanwhile.
        """
        picture = Picture(action, image, options)
        deadline = deadline or Deadline(self.server.timeout)
        work = asyncio.create_task(self._run(picture, deadline, on_progress))
        self._works.add(work)
        try:
            return await work
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            raise errors.Cancelled("the connection was closed") from None
        finally:
            self._works.discard(work)

    async def _run(
        self, picture: Picture, deadline: Deadline, on_progress: OnProgress | None
    ) -> Reply:
        self._budget.earn()
        attempts = Attempts(self.server.retries, deadline, self._budget)
        async with within(deadline, self.url), self._slots.one(self._in_flight):
            if on_progress:
                return await self._by_job(picture, on_progress, attempts)
            return await self._repeated(partial(self._at_once, picture), attempts)

    @property
    def _in_flight(self) -> int:
        is_set = "in_flight" in self.server.model_fields_set
        return self.server.in_flight if is_set else IN_FLIGHT

    async def _repeated(self, call: Callable[[Deadline], Awaitable[T]], attempts: Attempts) -> T:
        """What a call gives; it is made again, where another attempt may succeed."""
        return await repeated(partial(unhurried, call), attempts, self.url)

    async def _at_once(self, picture: Picture, deadline: Deadline) -> Reply:
        """The whole call as one request."""
        request = picture.request({}, {"Accept": answers.PARTS})
        path = f"/v1/{picture.action.command}"
        async with self._http.answered("POST", path, **request) as answer:
            parts = answers.Parts(answer.content_type, self.url)
            async with aclosing(answer.chunks()) as chunks:
                async for chunk in chunks:
                    parts.add(chunk)
        return parts.reply()

    async def _by_job(self, picture: Picture, on_progress: OnProgress, attempts: Attempts) -> Reply:
        """The call as a job."""
        job = await self._taken(picture, attempts)
        try:
            await self._repeated(partial(self._followed, job, on_progress), attempts)
            state = await self._repeated(partial(self._json, "GET", job.path), attempts)
            report = _report(state)
            fetch = partial(self._body, "GET", f"{job.path}/result")
            return Reply(await self._repeated(fetch, attempts), report)
        finally:
            await self._removed(job, Deadline(END_SECONDS))

    async def _taken(self, picture: Picture, attempts: Attempts) -> _Job:
        """The job of a picture. Who is cancelled meanwhile waits for it, to end it."""
        # By its key, a job isn't taken again where only the answer was lost.
        create = partial(self._created, picture, str(uuid.uuid4()))
        taking = asyncio.create_task(self._repeated(create, attempts))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            deadline = Deadline(END_SECONDS)
            await asyncio.wait([taking], timeout=deadline.seconds)
            if taking.done() and not taking.exception():
                await self._removed(taking.result(), deadline)
            raise
        finally:
            taking.cancel()

    async def _created(self, picture: Picture, key: str, deadline: Deadline) -> _Job:
        fields, headers = {"action": picture.action.name.value}, {"Idempotency-Key": key}
        request = picture.request(fields, headers)
        async with self._http.answered("POST", "/v1/jobs", **request) as answer:
            state = answers.json_of(await answer.whole(), self.url)
        return _Job(f"/v1/jobs/{state.get('id')}")

    async def _followed(self, job: _Job, on_progress: OnProgress, deadline: Deadline) -> None:
        """Waits until a job has ended.

        Raises:
            ServerUnavailable: the connection broke before.
        """
        headers = {"Accept": "text/event-stream", "Last-Event-ID": job.last}
        events = self._http.answered("GET", f"{job.path}/events", SILENT_SECONDS, headers=headers)
        async with events as answer, aclosing(answers.events(answer.lines())) as told:
            async for event in told:
                job.last = event.id or job.last
                if event.kind == "finished":
                    return
                if event.kind == "progress":
                    on_progress(Progress(*(event.data[name] for name in Progress._fields)))
        raise errors.ServerUnavailable(f"the connection to {self.url} broke")

    async def _removed(self, job: _Job, deadline: Deadline) -> None:
        """Cancels a job that nobody waits for any more; removes one that has ended."""
        try:
            async with within(deadline, self.url):
                await unhurried(partial(self._json, "DELETE", job.path), deadline)
        except errors.SakugaError as error:
            log.info("the job %s stays at %s: %s", job.path, self.url, error)

    async def networks(self) -> dict[str, dict[str, Any]]:
        """See `Transport.networks`."""
        deadline = Deadline(self.server.timeout)
        async with within(deadline, self.url):
            answer = await unhurried(partial(self._json, "GET", "/v1/models"), deadline)
        found: dict[str, dict[str, Any]] = {}
        for row in answer["models"]:
            name = str(row.pop("name"))
            found |= row.get("networks") or {name: row}  # of a family, those that it has
        return found

    async def status(self) -> dict[str, Any]:
        """The gateway's address, and whether it is ready; it tells no more.

        Raises:
            ServerUnavailable: it doesn't answer.
        """
        async with within(Deadline(self.server.timeout), self.url):
            await self._body("GET", "/healthz")
            try:
                await self._body("GET", "/readyz")
                ready = True
            except errors.ServerUnavailable:
                ready = False
        return {"url": self.url, "version": "", "ready": ready, "models": {}}

    async def _json(
        self, method: str, path: str, deadline: Deadline | None = None
    ) -> dict[str, Any]:
        return answers.json_of(await self._body(method, path), self.url)

    async def _body(self, method: str, path: str, deadline: Deadline | None = None) -> bytes:
        async with self._http.answered(method, path) as answer:
            return await answer.whole()


def _report(state: Mapping[str, Any]) -> dict[str, Any]:
    """The report of a job that has ended.

    Raises:
        SakugaError: it has no result.
    """
    (picture,) = state["pictures"]
    if error := picture["error"]:
        raise answers.problem(error) or errors.ServerError(str(error))
    if picture["state"] != "succeeded":
        raise errors.Cancelled("somebody else has cancelled the job")
    report: dict[str, Any] = picture["report"]
    return report
