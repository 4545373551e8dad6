"""Writes requirements/: every Python package of each image, with its version and its hashes.

`make lock` runs it after a change of constraints.txt or of a room's dependencies. What
constraints.txt names has that version; the rest is resolved by uv, as it was before unless a room
wants it newer. Torch is left out, because the images' comes from an index of its own, whose wheels
have other hashes; so are the packages of CUDA, which it doesn't need there.
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
REQUIREMENTS = Path(__file__).with_name("requirements")
# Builds the rooms; without a version here, pip would fetch one by itself.
BUILD = "setuptools"
UNHASHED = re.compile(r"^(torch|torchvision|triton|nvidia-.+|cuda-.+)$")
PLATFORM = "x86_64-manylinux_2_35"


@dataclass(frozen=True)
class Image:
    """A stage that installs packages."""

    python: str
    rooms: tuple[str, ...]
    """Paths of the rooms that it installs, with their extras."""

    @property
    def own(self) -> list[str]:
        """The rooms' distributions."""
        folders = [room.partition("[")[0].removeprefix("./") for room in self.rooms]
        return ["sakuga" if room == "client" else f"sakuga-{room}" for room in folders]


IMAGES = {
    "cpu-server": Image("3.11", ("./core", "./client", "./server[embedded,formats]")),
    "cpu-export": Image("3.11", ("./core", "./client", "./export")),
    "triton-server": Image("3.12", ("./core", "./client", "./server[formats]")),
    "triton-export": Image("3.12", ("./core", "./client", "./export")),
    "gateway": Image("3.11", ("./core", "./client", "./gateway")),
}


def resolved(image: Image, before: str, *more: str) -> str:
    """What uv finds for an image, as a requirements file.

    Args:
        before: what it found last time.
        more: further options of it.

    Raises:
        CalledProcessError: it found nothing; it has said why.
    """
    known = [f"--no-emit-package={name}" for name in image.own]
    command = [
        *(str(Path(sys.executable).with_name("uv")), "pip", "compile", "-"),
        *("--quiet", "--no-header"),
        *("--constraints", "constraints.txt", "--python-version", image.python),
        *("--python-platform", PLATFORM, "--no-annotate", *known, *more),
    ]
    wanted = "\n".join([*image.rooms, BUILD])
    # What there was is preferred where it still fits.
    preferred = PROJECT / "build" / "lock.txt"
    preferred.parent.mkdir(exist_ok=True)
    preferred.write_text(before, encoding="utf-8")
    subprocess.run(
        [*command, "--output-file", preferred],
        cwd=PROJECT,
        input=wanted,
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return preferred.read_text(encoding="utf-8")


def names(requirements: str) -> list[str]:
    """The packages in a requirements file."""
    return re.findall(r"^([\w.-]+)==", requirements, re.MULTILINE)


def locked(image: Image, before: str) -> str:
    """The requirements file of an image."""
    left_out = [name for name in names(resolved(image, before)) if UNHASHED.match(name)]
    options = [f"--no-emit-package={name}" for name in left_out]
    return resolved(image, before, "--generate-hashes", *options)


def main() -> None:
    """Writes them all."""
    REQUIREMENTS.mkdir(exist_ok=True)
    for name, image in IMAGES.items():
        file = REQUIREMENTS / f"{name}.txt"
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        text = locked(image, before)
        file.write_text(
            f"# By `make lock`, of constraints.txt and the rooms' pyproject.toml.\n{text}"
        )
        print(f"{file.relative_to(PROJECT)}: {len(names(text))} packages")


if __name__ == "__main__":
    main()
