"""What a Dockerfile says, read, and done without Docker and without root."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from string import Template
from typing import NamedTuple

from networks_for_tests import PROJECT
from sakuga_core.paths import cache_folder

DOCKER = PROJECT / "docker"

# Installing torch anew takes minutes and gigabytes, and how networks are exported has tests of its
# own: these stages run what is installed where the tests run. The server's are installed as told.
EXPORTED_BY_THE_TESTS = ("export", "repository")
# What only root can do. Without Docker there is one user.
OF_ROOT = ("useradd ",)
# Whatever else a Dockerfile names by an absolute path is the machine's.
FOLDERS = re.compile(r"(?<![\w./-])/(?:opt/sakuga|etc/sakuga|models|src|tmp)(?![\w-])")
CACHE_MOUNT = re.compile(r"--mount=type=cache,target=([^,\s]+)\S*\s*")
OF_PIP = re.compile("HOME$|PIP_|.*(proxy|cert)", re.IGNORECASE)
NOTED = ("CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "LABEL", "STOPSIGNAL", "USER")


class Step(NamedTuple):
    name: str
    text: str

    @property
    def copied_from(self) -> str | None:
        found = re.match(r"--from=(\S+)", self.text)
        return found[1] if found and self.name == "COPY" else None


@dataclass
class Stage:
    name: str
    base: str
    steps: list[Step] = field(default_factory=list)

    @property
    def needs(self) -> list[str]:
        return [self.base, *(step.copied_from for step in self.steps if step.copied_from)]


def steps(file: Path) -> list[Step]:
    """The instructions of a Dockerfile."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith("#")).replace("\\\n", "")
    return [Step(*line.split(None, 1)) for line in text.splitlines() if line.strip()]


def stages(file: Path) -> dict[str, Stage]:
    """The stages of a Dockerfile, by name."""
    found: list[Stage] = []
    images = {}
    for name, text in steps(file):
        if name == "FROM":
            base, _, of_stage = text.split()
            found.append(Stage(of_stage, Template(base).substitute(images)))
        elif found:
            found[-1].steps.append(Step(name, text))
        else:
            assert name == "ARG"
            images.update([text.split("=", 1)])
    return {stage.name: stage for stage in found}


@cache
def tracked() -> list[str]:
    """The project's files that are committed, or are going to be."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.check_output(listed, cwd=PROJECT, text=True).splitlines()


@cache
def context() -> list[str]:
    """Of these, what .dockerignore lets through."""
    lines = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    return [file for file in tracked() if not ignored(file, rules)]


def ignored(file: str, rules: list[str]) -> bool:
    """As Docker decides: by the last rule that matches the file, or a folder that it is in."""
    paths = [file, *map(str, Path(file).parents)]
    fitting = [rule for rule in rules if any(map(pattern(rule).fullmatch, paths))]
    return bool(fitting) and not fitting[-1].startswith("!")


def pattern(rule: str) -> re.Pattern[str]:
    text = re.escape(rule.removeprefix("!"))
    return re.compile(text.replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*"))


def within(source: str) -> list[str]:
    """The files of the context that a COPY means."""
    return [file for file in context() if file == source or file.startswith(f"{source}/")]


def sources(file: Path) -> list[str]:
    copies = [step for step in steps(file) if step.name == "COPY" and not step.copied_from]
    return [source for step in copies for source in shlex.split(step.text)[:-1]]


@dataclass(frozen=True)
class Image:
    """What a stage is so far, besides its files."""

    env: dict[str, str]
    args: dict[str, str] = field(default_factory=dict)
    folder: str = "/tmp"
    notes: dict[str, str] = field(default_factory=dict)


class Build:
    """Does what a Dockerfile says, without Docker and without root: what it calls /opt/sakuga lies
    below `folder`.

    Programs of a venv have its path inside. So all stages have the same path, `root`: a link to the
    one in hand.
    """

    def __init__(self, file: Path, folder: Path, args: dict[str, str]) -> None:
        self.stages, self.folder, self.args = stages(file), folder, args
        self.root = folder / "root"
        self.images: dict[str, Image] = {}
        self.instructions = {
            **{"RUN": self.run, "COPY": self.copy, "ENV": self.env, "ARG": self.arg},
            **{"WORKDIR": self.workdir, **dict.fromkeys(NOTED, self.note)},
        }

    def target(self, name: str) -> Image:
        """Builds a stage, after those that it needs."""
        stage = self.stages[name]
        for needed in stage.needs:
            if needed in self.stages and needed not in self.images:
                self.target(needed)
        image = self.begun(stage)
        self.root.unlink(missing_ok=True)
        self.root.symlink_to(name)
        for step in stage.steps:
            image = self.instructions[step.name](image, step)
        self.images[name] = image
        return image

    def begun(self, stage: Stage) -> Image:
        if stage.base in self.stages:
            link(self.folder / stage.base, self.folder / stage.name)
            before = self.images[stage.base]
            image = replace(before, env=dict(before.env), args={})
        else:
            (self.folder / stage.name / "tmp").mkdir(parents=True)
            image = Image({"PATH": f"{self.python()}:/usr/bin:/bin"})
        if stage.name in EXPORTED_BY_THE_TESTS:
            image.env["PATH"] += f":{Path(sys.executable).parent}"
        return image

    def python(self) -> Path:
        """A folder of programs with the Python of the base image, for which ours stands in."""
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        for name in ("python", "python3"):
            (programs / name).write_text(f'#!/bin/sh\nexec {sys._base_executable} "$@"\n')
            (programs / name).chmod(0o755)
        return programs

    def moved(self, text: str) -> str:
        """With its paths below `root`."""
        return FOLDERS.sub(lambda path: f"{self.root}{path[0]}", text)

    def place(self, image: Image, path: str) -> Path:
        """Where a path of the image is."""
        path = str(Path(image.folder) / path)
        assert FOLDERS.match(path), f"{path} isn't one of the image's own folders"
        return Path(self.moved(path))

    def run(self, image: Image, step: Step) -> Image:
        command = CACHE_MOUNT.sub("", step.text)
        exporting = self.root.readlink().name in EXPORTED_BY_THE_TESTS
        if command.startswith(OF_ROOT) or (exporting and command.startswith("pip install")):
            return image
        kept = {name: value for name, value in os.environ.items() if OF_PIP.match(name)}
        folder = self.place(image, ".")
        with self.caches(CACHE_MOUNT.findall(step.text)):
            bash = ["bash", "-e", "-c", self.moved(command)]
            subprocess.run(bash, cwd=folder, env=kept | image.env | image.args, check=True)
        return image

    @contextmanager
    def caches(self, targets: list[str]) -> Iterator[None]:
        """Folders kept from build to build: this user's own. pip finds its by itself."""
        places = [Path(self.moved(target)) for target in targets if FOLDERS.match(target)]
        for place in places:
            place.symlink_to(cache_folder().parent)
        yield
        for place in places:
            place.unlink()

    def copy(self, image: Image, step: Step) -> Image:
        *named, target = (word for word in shlex.split(step.text) if not word.startswith("--"))
        place = self.place(image, target)
        for source in named:
            if step.copied_from:
                link(self.folder / step.copied_from / source.lstrip("/"), place)
                continue
            alone = within(source) == [source]
            into = place / Path(source).name if alone and place.is_dir() else place
            for file in within(source):
                self.write(PROJECT / file, into / Path(file).relative_to(source))
        return image

    def write(self, file: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        content = file.read_bytes()
        if file.is_relative_to(DOCKER):  # it names folders of the image
            content = self.moved(content.decode()).encode()
        target.unlink(missing_ok=True)  # it may be another stage's, too
        target.write_bytes(content)

    def env(self, image: Image, step: Step) -> Image:
        given = [pair.split("=", 1) for pair in shlex.split(self.moved(step.text))]
        known = image.env | image.args
        new = {name: Template(value).substitute(known) for name, value in given}
        return replace(image, env=image.env | new)

    def arg(self, image: Image, step: Step) -> Image:
        name, _, default = shlex.split(step.text)[0].partition("=")
        return replace(image, args=image.args | {name: self.args.get(name, default)})

    def workdir(self, image: Image, step: Step) -> Image:
        self.place(image, step.text).mkdir(parents=True, exist_ok=True)
        return replace(image, folder=step.text)

    def note(self, image: Image, step: Step) -> Image:
        return replace(image, notes=image.notes | {step.name: step.text})


def link(source: Path, target: Path) -> None:
    """Copies a tree by hard links: what installs a file anew makes another one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-alT", source, target], check=True)


@dataclass(frozen=True)
class Container:
    """An image whose command can be run."""

    root: Path
    image: Image
    port: int
    http_port: int

    @property
    def url(self) -> str:
        return f"localhost:{self.port}"

    @property
    def command(self) -> list[str]:
        return list(json.loads(self.image.notes["CMD"]))

    @property
    def probe(self) -> list[str]:
        said = self.image.notes["HEALTHCHECK"].partition("CMD ")[2]
        return list(json.loads(said.replace("8000", str(self.http_port))))

    @property
    def environment(self) -> dict[str, str]:
        return {**self.image.env, "TMPDIR": str(self.root / "tmp")}

    def healthy(self) -> bool:
        done = subprocess.run(self.probe, env=self.environment, capture_output=True)
        return done.returncode == 0

    def written(self) -> dict[str, tuple[int, int]]:
        """Every file outside /tmp; Python does without the bytecode that it may not keep."""
        files = {
            str(file): file.lstat()
            for folder in self.root.resolve().iterdir()
            if folder.name != "tmp"
            for file in folder.rglob("*")
            if "__pycache__" not in file.parts and not file.is_dir()
        }
        return {name: (state.st_mtime_ns, state.st_size) for name, state in files.items()}
