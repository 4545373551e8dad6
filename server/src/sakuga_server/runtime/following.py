"""A running server follows config.yaml and the exported networks: it loads what they name now, and
unloads what nothing uses."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from watchfiles import awatch

from sakuga_core.config import restart
from sakuga_core.config.file import is_stable, refresh
from sakuga_core.config.schema import Config
from sakuga_core.errors import SakugaError, ServerUnavailable
from sakuga_core.protocol import NETWORKS, PIPELINES
from sakuga_core.repository.checks import problems
from sakuga_server.runtime.control import Control
from sakuga_server.runtime.placement import is_public, optional, servable, wanted
from sakuga_server.runtime.repository import bring_up, exports

# Milliseconds after which it looks even if no change was reported: network file systems report
# none, and idle networks are unloaded.
LOOK_MS = 500

Stamp = tuple[int, ...]


class Follower:
    """Keeps a running Triton as config.yaml has it.

    Args:
        config: read from the file to follow; it changes with it.
        control: the server.
        repository: the runtime repository.
        say: takes each event, as a line.
        is_restarting: whether Triton is just being started again.
    """

    def __init__(
        self,
        config: Config,
        control: Control,
        repository: Path,
        say: Callable[[str], object],
        is_restarting: Callable[[], bool] = lambda: False,
    ) -> None:
        self.config, self.control, self.repository, self.say = config, control, repository, say
        self.is_restarting = is_restarting
        self.held = restart.Held(config, restart.SERVER)
        self.exported = set(exports(config.server.repository))
        self.stamps = _stamps(repository)
        self.unwritten = self.due = False
        """Whether an edit has yet to reach the repository, and Triton."""
        self.is_behind = False
        """Whether Triton was started again, and may lack models."""
        self.wanted = wanted(config, repository)
        self.ever_wanted = set(self.wanted)
        self.optional = set(optional(repository))
        self.idle: dict[str, tuple[float, float]] = {}
        """Of each network that nothing names: images processed, and since when no more."""
        self.problem = ""

    async def follow(self, process: "subprocess.Popen[bytes]") -> int:
        """Follows until the server ends by itself; returns its status."""
        async for _ in self._looks():
            if process.poll() is not None:
                break
            if self.is_restarting():
                self.is_behind = True
                continue
            try:
                await self.step()
                self.problem = ""
            except (SakugaError, OSError) as error:
                self.is_behind |= isinstance(error, ServerUnavailable)
                if process.poll() is None and not self.is_behind:
                    self._report(f"the server can't follow config.yaml now: {error}")
        return int(process.wait())

    async def _looks(self) -> AsyncIterator[None]:
        """Each time that something may have changed."""
        folder = self.config.source.file.resolve().parent if self.config.source else None
        if folder is None:
            while True:
                yield
                await asyncio.sleep(LOOK_MS / 1000)
        changes = awatch(folder, recursive=False, rust_timeout=LOOK_MS, yield_on_timeout=True)
        async for _ in changes:
            yield

    def _report(self, problem: str) -> None:
        """Says what is wrong, once."""
        if problem != self.problem:
            self.problem = problem
            self.say(problem)

    async def step(self) -> None:
        """Looks once, and does what changes ask for. What fails is tried again by the next step.

        Raises:
            SakugaError: the server doesn't answer, or a custom network is wrongly described.
            OSError: the runtime repository can't be written.
        """
        if refresh(self.config, problems):
            self.unwritten = self.due = True
            for name in self.held.restore():
                self.say(f"{name} takes effect when the server is started again")
        self._write_changes()
        stamps, images = _stamps(self.repository), await self.control.images()
        is_changed = stamps != self.stamps and _is_stable(stamps)
        if self.due or self.is_behind or is_changed:
            complete = await self._load(stamps, images)
            if self.due and complete:
                self.say("config.yaml was edited; the edit is in effect")
            self.stamps, self.due, self.is_behind = stamps, False, False
        else:
            await self._unload(images)

    def _write_changes(self) -> None:
        """Brings the runtime repository up to the edit, and to the networks that are exported."""
        exported = set(exports(self.config.server.repository))
        if self.unwritten or exported != self.exported:
            bring_up(self.repository, self.config)
            self.unwritten, self.exported = False, exported

    async def _load(self, stamps: dict[str, Stamp], loaded: Iterable[str]) -> bool:
        """Loads what is needed or has changed, and unloads what is gone; whether all of it went
        well."""
        self.wanted = wanted(self.config, self.repository)
        self.optional = set(optional(self.repository))
        self.ever_wanted.update(self.wanted)
        # What is loaded, but not there to be loaded again, is served on.
        there = set(servable(self.repository)).intersection(loaded)
        changed = {name for name in there if stamps.get(name) != self.stamps.get(name)}
        missing = set(self.wanted).difference(loaded)
        gone = sorted(name for name in loaded if name not in stamps)
        needed = self._in_order(changed | missing)
        loads = [await self._try(name, self.control.load, "loaded") for name in needed]
        unloads = [await self._try(name, self.control.unload, "unloaded") for name in gone]
        return all(loads + unloads)

    def _in_order(self, models: Iterable[str]) -> list[str]:
        """Networks first: a pipeline shouldn't know of one before that can be loaded."""
        return sorted(models, key=lambda name: (name not in self.optional, name != NETWORKS, name))

    async def _try(self, name: str, action: Callable[[str], Awaitable[None]], done: str) -> bool:
        """Whether it went well; either way it is reported."""
        start = time.monotonic()
        try:
            await action(name)
        except SakugaError as error:
            self.say(f"{name} wasn't {done}: {error}")
            return False
        self.say(f"{done} {name} in {time.monotonic() - start:.1f} s")
        return True

    async def _unload(self, images: Mapping[str, int]) -> None:
        """Unloads networks that nothing names, and that were idle for long enough."""
        spare = self.optional.intersection(images).difference(self.wanted)
        if not self.config.server.load_on_demand:
            # Somebody loaded the others by hand, and no request would load them again.
            spare &= self.ever_wanted
        now, before = time.monotonic(), self.idle
        self.idle = {
            name: before[name]
            if before.get(name, (-1,))[0] == images[name]
            else (images[name], now)
            for name in spare
        }
        for name in sorted(spare):
            if now - self.idle[name][1] > self.config.server.unload_after:
                await self._try(name, self.control.unload, "unloaded")


async def drain(control: Control, seconds: float) -> None:
    """Has a server take no more pictures, and waits until those in flight are finished.

    At SIGTERM, Triton would unload networks that pipelines still call. So the public models are
    unloaded first, and what they need stays. A client that calls one meanwhile learns that the
    server is stopping, and goes to another.

    Args:
        control: the server.
        seconds: that this may take.
    """
    with suppress(SakugaError, TimeoutError):
        async with asyncio.timeout(seconds):
            public = filter(is_public, await control.images())
            # Triton complains of an ensemble whose pipeline has gone.
            for name in sorted(public, key=PIPELINES.__contains__):
                await control.unload(name)
            while await control.unloading():
                await asyncio.sleep(0.1)


def _stamps(repository: Path) -> dict[str, Stamp]:
    """When each model's files last changed."""
    configs = repository.glob("*/config.pbtxt")
    return {config.parent.name: _stamp(config.parent) for config in configs}


def _stamp(folder: Path) -> Stamp:
    files = [folder / "config.pbtxt", *sorted((folder / "1").glob("*.*"))]
    try:
        return tuple(file.stat().st_mtime_ns for file in files)
    except OSError:  # being replaced
        return ()


def _is_stable(stamps: dict[str, Stamp]) -> bool:
    """Whether nothing is being written any more."""
    return all(is_stable(changed) for stamp in stamps.values() for changed in stamp)
