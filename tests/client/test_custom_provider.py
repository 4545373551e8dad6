"""Custom providers, which config.yaml names by their import path."""

import asyncio
from pathlib import Path

import pytest

from sakuga import ConfigError, ImageAction, Progress, ProviderError, connect
from sakuga.providers import ImageProvider

TOOLS = """
import asyncio

from sakuga import Progress, RealESRGANProvider

closed = []


class Shout:
    async def process(self, image, action, config=None):
        return repr((image, str(action), dict(config or {}))).encode()

    async def close(self):
        closed.append(self)


class Slow:
    def __init__(self):
        self.running, self.may_end = asyncio.Event(), asyncio.Event()

    async def process(self, image, action, config=None):
        self.running.set()
        await self.may_end.wait()
        return b"slowly"

    async def close(self):
        closed.append(self)


class Broken:
    async def process(self, image, action, config=None):
        raise RuntimeError("out of ink")


class Textual:
    async def process(self, image, action, config=None):
        return "a picture"


class Telling:
    async def process(self, image, action, config=None, *, on_progress=None):
        if on_progress:
            on_progress(Progress("tiles", 1, 1))
        return b"told"


class Open:
    async def process(self, image, action, config=None, **more):
        return repr(sorted(more)).encode()


class Mine(RealESRGANProvider):
    pass


shout = Shout()


async def process(image, action, config=None):
    return b"by the module"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # A module name of its own for each test: Python keeps modules.
    monkeypatch.setattr("sys.path", ["/", *__import__("sys").path])
    (tmp_path / f"tools_{tmp_path.name}.py").write_text(TOOLS)
    return tmp_path / "config.yaml"


def write(file: Path, name: str | None, options: str = "") -> Path:
    module = f"tools_{file.parent.name}"
    path = module if name is None else f"{module}:{name}"
    file.write_text(f"providers: {{image: {{upscale: {{provider: '{path}'{options}}}}}}}")
    return file


@pytest.mark.parametrize("name", ["Shout", "shout"])
async def test_a_class_or_an_object_beside_the_file_serves(file: Path, name: str) -> None:
    async with connect(write(file, name, ", options: {noise: 1, size: 2}")) as images:
        result = await images.process(b"data", "upscale", {"size": 3})
        reply = await images.run(b"data", ImageAction.UPSCALE)
    assert result == b"(b'data', 'upscale', {'noise': 1, 'size': 3})"
    assert name in reply.report["model"]
    assert reply.report["warnings"] == []


async def test_a_module_with_the_method_serves(file: Path) -> None:
    async with connect(write(file, None)) as images:
        assert await images.process(b"data", "upscale") == b"by the module"


async def test_assigning_another_takes_effect_and_the_old_one_is_closed(file: Path) -> None:
    async with connect(write(file, "Shout")) as images:
        await images.process(b"data", "upscale")
        custom = images._custom[ImageAction.UPSCALE].provider
        module = __import__(type(custom).__module__)
        assert isinstance(custom, ImageProvider)
        images.config.providers.image.upscale.provider = f"{module.__name__}:Textual"
        with pytest.raises(ProviderError, match="returned str; allowed: bytes"):
            await images.process(b"data", "upscale")
        assert module.closed == [custom]


async def test_a_failure_is_named(file: Path) -> None:
    async with connect(write(file, "Broken")) as images:
        with pytest.raises(ProviderError, match="Broken failed: RuntimeError: out of ink"):
            await images.process(b"data", "upscale")


async def test_ours_are_given_the_configuration_and_the_connection(file: Path) -> None:
    async with connect(write(file, "Mine")) as images:
        custom = await images._custom_provider(ImageAction.UPSCALE)
        assert custom is not None
        assert custom.provider.config is images.config  # type: ignore[attr-defined]
        assert custom.provider.triton is images.triton  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_module:Thing", "can't be imported"),
        ("json:nothing", "can't be imported"),
        ("json:dumps", "has no `process`"),
    ],
)
async def test_what_is_no_provider_is_an_error(file: Path, path: str, message: str) -> None:
    async with connect(write(file, "Shout")) as images:
        images.config.providers.image.upscale.provider = path
        with pytest.raises(ConfigError, match=message):
            await images.process(b"data", "upscale")


async def test_a_provider_that_is_replaced_while_it_runs_is_closed_after_its_call(
    file: Path,
) -> None:
    async with connect(write(file, "Slow")) as images:
        call = asyncio.ensure_future(images.process(b"data", "upscale"))
        slow = images._custom[ImageAction.UPSCALE].provider if images._custom else None
        while slow is None:
            await asyncio.sleep(0)
            slow = images._custom[ImageAction.UPSCALE].provider if images._custom else None
        module = __import__(type(slow).__module__)
        await slow.running.wait()  # type: ignore[attr-defined]
        images.config.providers.image.upscale.provider = f"{module.__name__}:Shout"
        assert await images.process(b"data", "upscale")
        assert module.closed == []
        slow.may_end.set()  # type: ignore[attr-defined]
        assert await call == b"slowly"
        assert module.closed == [slow]


@pytest.mark.parametrize(
    ("name", "told", "result"),
    [
        ("Telling", [Progress("tiles", 1, 1)], b"told"),
        ("Open", [], b"['on_progress']"),
        ("Shout", [], b"(b'data', 'upscale', {})"),
        (None, [], b"by the module"),
    ],
)
async def test_progress_is_passed_on_to_those_who_take_it(
    file: Path, name: str | None, told: list[Progress], result: bytes
) -> None:
    seen: list[Progress] = []
    async with connect(write(file, name)) as images:
        assert await images.process(b"data", "upscale", on_progress=seen.append) == result
        await images.process(b"data", "upscale")
    assert seen == told


async def test_a_custom_provider_gets_bytes_whatever_was_given(file: Path) -> None:
    (file.parent / "a.png").write_bytes(b"data")
    async with connect(write(file, "Shout")) as images:
        for picture in (b"data", bytearray(b"data"), memoryview(b"data"), file.parent / "a.png"):
            assert await images.process(picture, "upscale") == b"(b'data', 'upscale', {})"
