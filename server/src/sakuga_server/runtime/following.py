"""A running server that follows config.yaml and its repository: loads what they name now, and
unloads what nothing uses."""

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from operator import attrgetter
from pathlib import Path

from sakuga.triton import Triton
from sakuga_core.config.file import is_stable, refresh
from sakuga_core.config.schema import Config
from sakuga_core.errors import SakugaError
from sakuga_core.protocol import NETWORKS
from sakuga_server.runtime.placement import is_door, optional, wanted

LOOK_SECONDS = 0.5

# What Triton, or its environment, is told when it starts, and only then.
AT_START = (
    (
        "server",
        (
            *("url", "repository", "host", "http_port", "metrics_port"),
            *("trace_url", "trace_rate"),
        ),
    ),
    ("server.tls", ("ca", "certificate", "key", "mutual")),
    ("realesrgan", ("gpu_id",)),
)

Stamp = tuple[int, ...]


class Follower:
    """Keeps a running Triton as config.yaml has it.

    Args:
        config: read from the file that is to be followed; it changes with it.
        triton: the server, with the key to administer it.
        write: brings the repository's config.pbtxt files up to the configuration.
        say: takes each thing that happened, as a line.
    """

    def __init__(
        self,
        config: Config,
        triton: Triton,
        write: Callable[[], object],
        say: Callable[[str], object],
    ) -> None:
        self.config, self.triton, self.write, self.say = config, triton, write, say
        self.repository = config.server.repository
        self.started = {
            (block, name): getattr(attrgetter(block)(config), name)
            for block, names in AT_START
            for name in names
        }
        self.stamps = _stamps(self.repository)
        self.due = False
        self.wanted = wanted(config)
        self.ever_wanted = set(self.wanted)
        self.optional = set(optional(self.repository))
        self.idle: dict[str, tuple[float, float]] = {}
        """Pictures that a network which nothing names has done, and since when no more."""

    async def follow(self, process: subprocess.Popen[bytes]) -> int:
        """Until the server ends by itself; gives its status."""
        while process.poll() is None:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.step()
            except (SakugaError, OSError) as error:
                if process.poll() is None:
                    self.say(f"the server can't follow config.yaml now: {error}")
        return int(process.returncode)

    async def step(self) -> None:
        """Looks once, and does what changes ask for.

        Raises:
            SakugaError: the server doesn't answer.
        """
        if refresh(self.config):
            self.due = True  # also if what follows fails
            self._hold_what_needs_a_start()
            self.write()
        stamps, models = _stamps(self.repository), (await self.triton.status())["models"]
        if self.due or (stamps != self.stamps and _settled(stamps)):
            await self._load(stamps, models)
            self.stamps, self.due = stamps, False
        else:
            await self._unload(models)

    def _hold_what_needs_a_start(self) -> None:
        for (block, name), value in self.started.items():
            settings = attrgetter(block)(self.config)
            if getattr(settings, name) != value:
                settings.set_default(name, value)
                self.say(f"{block}.{name} takes effect when the server is started again")

    async def _load(self, stamps: dict[str, Stamp], loaded: Iterable[str]) -> None:
        """What is needed and isn't loaded, and what is loaded and has changed, or is gone."""
        self.wanted, self.optional = wanted(self.config), set(optional(self.repository))
        self.ever_wanted.update(self.wanted)
        changed = {n for n in loaded if n in stamps and stamps[n] != self.stamps.get(n)}
        missing = set(self.wanted).difference(loaded)
        for name in self._in_order(changed | missing):
            await self._try(name, self.triton.load, "loaded")
        for name in _ensembles_first(name for name in loaded if name not in stamps):
            await self._try(name, self.triton.unload, "unloaded")

    def _in_order(self, models: Iterable[str]) -> list[str]:
        """A pipeline shouldn't know of a network before that is there, and can be loaded."""
        return sorted(models, key=lambda name: (name not in self.optional, name != NETWORKS, name))

    async def _try(self, name: str, action: Callable[[str], Awaitable[None]], done: str) -> None:
        start = time.monotonic()
        try:
            await action(name)
        except SakugaError as error:
            self.say(f"{name} wasn't {done}: {error}")
            return
        self.say(f"{done} {name} in {time.monotonic() - start:.1f} s")

    async def _unload(self, models: Mapping[str, Mapping[str, float]]) -> None:
        """Networks that nothing names, and that did nothing for so long."""
        spare = self.optional.intersection(models).difference(self.wanted)
        if not self.config.server.load_on_demand:
            # Somebody loaded the others by hand, and no request would load them again.
            spare &= self.ever_wanted
        now, before = time.monotonic(), self.idle
        done = {name: models[name]["images"] for name in spare}
        self.idle = {
            name: before[name] if before.get(name, (-1,))[0] == done[name] else (done[name], now)
            for name in spare
        }
        for name in _ensembles_first(spare):
            if now - self.idle[name][1] > self.config.server.unload_after:
                await self._try(name, self.triton.unload, "unloaded")


async def drain(triton: Triton, seconds: float) -> None:
    """Has a server take no more pictures, and waits until it has done those it has.

    Told to end, Triton would unload networks that pipelines still ask for. So first the doors close
    by which pictures come in, and what is behind them stays. Who comes to one is told that the
    server is stopping, and goes to another.

    Args:
        triton: the server, with the key to administer it.
        seconds: that this may take.
    """
    with suppress(SakugaError, TimeoutError):
        async with asyncio.timeout(seconds):
            loaded = (await triton.status())["models"]
            for name in (name for name in loaded if is_door(name)):
                await triton.unload(name)
            while await triton.leaving():
                await asyncio.sleep(0.1)


def _ensembles_first(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: not name.startswith("rembg_"))


def _stamps(repository: Path) -> dict[str, Stamp]:
    """When each model's files last changed."""
    return {folder.name: _stamp(folder) for folder in repository.iterdir() if folder.is_dir()}


def _stamp(folder: Path) -> Stamp:
    files = [folder / "config.pbtxt", *sorted((folder / "1").glob("*.*"))]
    try:
        return tuple(file.stat().st_mtime_ns for file in files)
    except OSError:  # being replaced
        return ()


def _settled(stamps: dict[str, Stamp]) -> bool:
    """Whether nothing is being written any more."""
    return all(is_stable(changed) for stamp in stamps.values() for changed in stamp)
