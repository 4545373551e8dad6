"""Builds the wheel and the source distribution of each package: `python release/dist.py FOLDER`.

Each wheel is built from its source distribution, so nothing gets in that isn't there, too. Packages
are built from copies: setuptools takes files of an earlier build along.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROJECT = Path(__file__).parents[1]
ROOMS = ("core", "client", "server", "export", "gateway")
MADE = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")


def build(folder: Path, isolated: bool = True) -> list[Path]:
    """Fills a folder with the distributions, and nothing else.

    Args:
        isolated: get setuptools anew, as pip does, instead of the one that is installed.

    Raises:
        CalledProcessError: a package can't be built; what it printed has been shown.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as copies, ThreadPoolExecutor() as pool:
        sources = list(_copied(Path(copies)))
        list(pool.map(lambda source: _build(source, folder, isolated), sources))
    return sorted(folder.iterdir())


def _copied(folder: Path) -> Iterator[Path]:
    for room in ROOMS:
        yield Path(shutil.copytree(PROJECT / room, folder / room, ignore=MADE))


def _build(source: Path, folder: Path, isolated: bool) -> None:
    options = [] if isolated else ["--no-isolation"]
    command = [sys.executable, "-m", "build", *options, "--outdir", str(folder), str(source)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        done.check_returncode()


def main() -> None:
    """Builds them, and says what there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--no-isolation", action="store_true", help="use the installed setuptools")
    arguments = parser.parse_args()
    for file in build(arguments.folder, not arguments.no_isolation):
        print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
