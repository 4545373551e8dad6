"""Hostile files through every action of one server: each gives a picture or the caller's error,
soon, and the server is afterwards as it was before."""

import asyncio
import base64
import io
import json
import re
import warnings
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

import hostile_files
from hostile_files import HostileFile
from networks_for_tests import repository_of
from pictures import encoded, gradient
from sakuga import BadInput, Images, connect
from sakuga_server.runtime import processes
from sakuga_server.runtime.embedded import free_port
from serving_for_tests import Serve, child, nothing_left, started
from slow import full

VIDEO, SEGMENTER = "realesr-animevideov3", "u2netp"
SEED = 1
AT_ONCE = 3
SECONDS = 20  # that an answer may take, with its time in queues
ENOUGH = 500  # files, which are sent again to see what memory grows by:
GROWTH = 1.05
LOOKS, LOOK_SECONDS = 6, 0.5  # at memory, until it doesn't fall any more
SOUND = encoded(gradient(20, 30))
# Pictures within these take the networks little time.
LIMITS = {
    "input_bytes": 2**20,
    "input_pixels": 2**15,
    "output_pixels": 2**18,
    "frames": 8,
    "animation_pixels": 2**15,
    "metadata_bytes": 2**18,
}
ACTIONS: dict[str, dict[str, Any]] = {
    "upscale": {"model": VIDEO, "scale": 2},
    "enhance": {"model": VIDEO, "scale": 1},
    "rembg": {"model": SEGMENTER},
    "fix_artifacts": {"model": VIDEO, "scale": 1, "inpaint": "opencv"},
}
MASKED = ("rembg", "fix_artifacts")  # take a second file
MASK_EVERY = 5  # files, one is also a mask
# What would show the server's insides: a traceback, a path, a module, or an address.
INSIDES = re.compile(
    r"Traceback|File \"|/home/|/root/|/tmp/|/dev/|site-packages|\.py\b|0x[0-9a-f]{8}"
)


class Call(NamedTuple):
    """A file for an action, or a good picture with the file as its mask."""

    file: HostileFile
    action: str
    is_mask: bool = False

    async def outcome(self, images: Images) -> str:
        """What is wrong with the answer; nothing where that is as it should be."""
        mask = {"mask": base64.b64encode(self.file.data).decode()} if self.is_mask else {}
        data = SOUND if self.is_mask else self.file.data
        try:
            reply = await images.run(data, self.action, ACTIONS[self.action] | mask)
        except BadInput as error:
            return _told(str(error))
        except Exception as error:
            return repr(error)
        return _unreadable(reply.result) or _told(json.dumps(reply.report))


def _told(text: str) -> str:
    return f"it tells our insides: {text}" if INSIDES.search(text) else ""


def _unreadable(data: bytes) -> str:
    """Why another library can't decode a result."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                image.load()
    except Exception as error:
        return f"the result is no picture: {error!r}"
    return ""


def calls(files: Sequence[HostileFile]) -> Iterator[Call]:
    for number, file in enumerate(files):
        yield from (Call(file, action) for action in ACTIONS)
        if number % MASK_EVERY == 0:
            yield from (Call(file, action, is_mask=True) for action in MASKED)


@pytest.fixture(scope="module")
async def serve(served: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serve]:
    folder = tmp_path_factory.mktemp("hostile")
    repository_of(served, folder / "repository")
    serve = Serve(folder, free_port(), limits=LIMITS)
    settings = {"preload": [VIDEO, SEGMENTER], "timeout": SECONDS, "retries": 0}
    serve.write(VIDEO, **settings)
    await started(serve)
    yield serve
    with nothing_left(folder / "cache"):
        serve.end()


def tree(serve: Serve) -> list[int]:
    """All processes of the server."""
    assert serve.process
    guard = child(serve.process.pid)
    triton = processes.triton_of(guard)
    assert triton
    return [serve.process.pid, guard, triton, *processes.children(triton)]


def megabytes(serve: Serve) -> float:
    """Of memory, shared memory included."""
    return sum(map(processes.proportional_kilobytes, tree(serve))) / 1024


async def megabytes_at_rest(serve: Serve) -> float:
    """Memory once it doesn't fall any more: processes give it back when they are idle."""
    found = [megabytes(serve)]
    while len(found) < LOOKS or min(found[-LOOKS:]) < min(found[:-LOOKS], default=0) - 1:
        await asyncio.sleep(LOOK_SECONDS)
        found.append(megabytes(serve))
    return found[-1]


def segments(serve: Serve) -> set[str]:
    """Names of its shared memory."""
    (lock,) = (serve.folder / "cache/sakuga/repositories").glob("*/lock")
    return {each.name for each in Path("/dev/shm").glob(f"sakuga-{lock.parent.name}-*")}


async def faults(images: Images, work: Iterator[Call]) -> list[str]:
    """Answers that aren't as they should be; so many calls are in flight."""
    found = []

    async def client() -> None:
        for call in work:
            if fault := await call.outcome(images):
                kind = "mask" if call.is_mask else "file"
                found.append(f"{call.file.name} as the {kind} of {call.action}: {fault}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd metadata
        await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return found


async def results(images: Images) -> list[bytes]:
    """Of a good picture."""
    return [
        (await images.run(SOUND, action, options)).result for action, options in ACTIONS.items()
    ]


@pytest.mark.parametrize("count", [60, full(ENOUGH)])
async def test_hostile_files_give_a_picture_or_the_callers_error(serve: Serve, count: int) -> None:
    files = list(hostile_files.files(count, SEED))
    async with connect(serve.file) as images:
        right, before = await results(images), (tree(serve), segments(serve))
        assert await faults(images, calls(files)) == []
        if count >= ENOUGH:
            once = await megabytes_at_rest(serve)
            assert await faults(images, calls(files)) == []
            assert await megabytes_at_rest(serve) <= GROWTH * once
        assert await results(images) == right
    assert (tree(serve), segments(serve)) == before
    assert not INSIDES.search(serve.printed)
