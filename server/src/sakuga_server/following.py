"""A running server that follows config.yaml and its repository: loads what they name now, and
unloads what nothing uses."""

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from sakuga.config import Config
from sakuga.config_file import SETTLED_SECONDS, refresh
from sakuga.errors import SakugaError
from sakuga.triton import Triton
from sakuga.wire import NETWORKS
from sakuga_server.placement import optional, wanted

LOOK_SECONDS = 0.5

# What Triton, or its environment, is told when it starts, and only then.
AT_START = (
    ("server", ("url", "repository", "http_port", "metrics_port")),
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
            (block, name): getattr(getattr(config, block), name)
            for block, names in AT_START
            for name in names
        }
        self.stamps = _stamps(self.repository)
        self.pictures: dict[str, int] = {}
        self.used: dict[str, float] = {}
        self.ever_wanted = set(wanted(config))

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
        changed = refresh(self.config)
        if changed:
            self._hold_what_needs_a_start()
            self.write()
        stamps = _stamps(self.repository)
        if changed or (stamps != self.stamps and _settled(stamps)):
            await self._load(stamps)
            self.stamps = stamps
        await self._unload()

    def _hold_what_needs_a_start(self) -> None:
        for (block, name), value in self.started.items():
            settings = getattr(self.config, block)
            if getattr(settings, name) != value:
                settings.settle(name, value)
                self.say(f"{block}.{name} takes effect when the server is started again")

    async def _load(self, stamps: dict[str, Stamp]) -> None:
        """What is needed and isn't loaded, and what is loaded and has changed, or is gone."""
        loaded = await self._loaded()
        self.ever_wanted.update(wanted(self.config))
        changed = [n for n in loaded if n in stamps and stamps[n] != self.stamps.get(n)]
        missing = [name for name in wanted(self.config) if name not in loaded]
        for name in self._in_order({*changed, *missing}):
            await self._try(name, self.triton.load, "loaded")
        for name in _ensembles_first(name for name in loaded if name not in stamps):
            await self._try(name, self.triton.unload, "unloaded")

    def _in_order(self, models: Iterable[str]) -> list[str]:
        """A pipeline shouldn't know of a network before that is there, and can be loaded."""
        networks = set(optional(self.repository))
        return sorted(models, key=lambda name: (name not in networks, name != NETWORKS, name))

    async def _try(self, name: str, action: Callable[[str], Awaitable[None]], done: str) -> None:
        start = time.monotonic()
        try:
            await action(name)
        except SakugaError as error:
            self.say(f"{name} wasn't {done}: {error}")
            return
        self.say(f"{done} {name} in {time.monotonic() - start:.1f} s")

    async def _unload(self) -> None:
        """Networks that nothing names, and that did nothing for so long."""
        loaded = await self._loaded()
        idle = set(optional(self.repository)) & set(loaded) - set(wanted(self.config))
        if not self.config.server.load_on_demand:
            # Somebody loaded the others by hand, and no request would load them again.
            idle &= self.ever_wanted
        await self._note_use(idle)
        late = time.monotonic() - self.config.server.unload_after
        for name in _ensembles_first(idle):
            if self.used[name] < late:
                await self._try(name, self.triton.unload, "unloaded")

    async def _note_use(self, names: Iterable[str]) -> None:
        """When each of them last finished a picture, or was first seen without a use."""
        models = (await self.triton.status())["models"]
        now, before, self.used = time.monotonic(), self.used, {}
        for name in names:
            pictures = int(models.get(name, {}).get("images", 0))
            same = name in before and self.pictures.get(name) == pictures
            self.used[name] = before[name] if same else now
            self.pictures[name] = pictures

    async def _loaded(self) -> list[str]:
        """Triton's index leaves out what isn't in the repository any more, its statistics don't."""
        ready = {name for name, ready in (await self.triton.index()).items() if ready}
        return sorted(ready.union((await self.triton.status())["models"]))


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
    newest = max((time for stamp in stamps.values() for time in stamp), default=0)
    return not 0 <= time.time_ns() - newest < SETTLED_SECONDS * 1e9
