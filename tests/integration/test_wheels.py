"""What is released: wheels and source distributions, installed outside the checkout."""

import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

import numpy as np
import pytest
from packaging.utils import parse_sdist_filename, parse_wheel_filename
from PIL import Image

from networks_for_tests import PROJECT
from pictures import encoded, gradient
from sakuga_core.networks.registry import by_name
from sakuga_export.fetch import fetch
from serving_for_tests import own_cache

VIDEO = "realesr-animevideov3"
ROOMS = {
    "sakuga": "client",
    **{f"sakuga-{room}": room for room in ("core", "server", "export", "gateway")},
}
MODULES = [name.replace("-", "_") for name in ROOMS]
WHERE = f"import {', '.join(MODULES)}; print(*(m.__file__ for m in ({', '.join(MODULES)})))"
MINUTES = 30  # that pip may take


@dataclass
class Environment:
    """A virtual environment, and a folder to work in; neither knows of the checkout."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "venv" / "bin"

    def run(self, program: str, *arguments: object, seconds: float = 300) -> str:
        """What a program of the environment prints, errors included."""
        command = [self.bin / program, *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def variables(self) -> dict[str, str]:
        """Of its processes: nothing leads to the checkout, or to this user's own files."""
        ours = ("PYTHONPATH", "SAKUGA_", "XDG_", "VIRTUAL_ENV")
        kept = {k: v for k, v in own_cache(self.folder).items() if not k.startswith(ours)}
        places = {f"XDG_{name}_HOME": self.folder / name.lower() for name in ("CACHE", "DATA")}
        places["XDG_CONFIG_HOME"] = self.folder / "settings"
        return {**kept, **{name: str(place) for name, place in places.items()}}

    def upscale(self) -> None:
        """Upscales a picture on a Triton that the command starts for itself."""
        picture = gradient(20, 30)
        (self.folder / "x.png").write_bytes(encoded(picture))
        said = self.run("sakuga", "upscale", "x.png", "-o", "out/", "--model", VIDEO, "--scale", 2)
        assert "starting one for this process" in said
        result = Image.open(self.folder / "out" / "x.png").convert("RGB")
        assert result.size == (60, 40)
        back = np.asarray(result.reduce(2), np.int16)
        assert np.abs(back - picture).mean() < 16  # another picture would be off by 80


def made(folder: Path, *options: str) -> Environment:
    subprocess.run([sys.executable, "-m", "venv", *options, folder / "venv"], check=True)
    return Environment(folder)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make dist` makes, with the setuptools that is installed."""
    folder = tmp_path_factory.mktemp("dist") / "dist"
    script = PROJECT / "release" / "dist.py"
    subprocess.run([sys.executable, script, folder, "--no-isolation"], check=True)
    return folder


@pytest.fixture(scope="module")
def wheels(dist: Path) -> dict[str, Path]:
    """By the names of their distributions."""
    return {str(parse_wheel_filename(file.name)[0]): file for file in dist.glob("*.whl")}


@pytest.fixture(scope="module")
def installed(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheels in an environment of their own. Others' packages are those of this process, by a
    .pth file: those that lie where it leads aren't followed, so no checkout gets in."""
    environment = made(tmp_path_factory.mktemp("installed"), "--without-pip")
    pip = [sys.executable, "-m", "pip", "--python", environment.bin / "python"]
    options = ["--no-deps", "--no-index", "--disable-pip-version-check", "--quiet"]
    command = [*pip, "install", *options, *wheels.values()]
    subprocess.run(command, check=True, env=environment.variables())
    (own,) = (environment.folder / "venv").glob("lib/python*/site-packages")
    others = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (own / "others.pth").write_text("\n".join(others))
    return environment


@pytest.fixture(scope="module")
def exported(installed: Environment) -> Path:
    """This user's folder of data, once the installed command has exported a network there."""
    weights = fetch(by_name(VIDEO).weights[0]).path.parent
    said = installed.run("sakuga", "export", VIDEO, "--weights", weights)
    assert f"{VIDEO}: exported" in said
    return installed.folder / "data"


def test_each_distribution_has_a_wheel_and_a_source_distribution(
    dist: Path, wheels: dict[str, Path]
) -> None:
    sources = {str(parse_sdist_filename(file.name)[0]) for file in dist.glob("*.tar.gz")}
    assert sources == wheels.keys() == ROOMS.keys()


@pytest.mark.parametrize("name", ROOMS)
def test_everything_of_a_package_is_in_both(dist: Path, wheels: dict[str, Path], name: str) -> None:
    source = PROJECT / ROOMS[name] / "src"
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "."]
    ours = set(subprocess.check_output(listed, cwd=source, text=True).splitlines())
    assert any(file.endswith("/py.typed") for file in ours)
    wheel = zipfile.ZipFile(wheels[name]).namelist()
    assert {file for file in wheel if ".dist-info/" not in file} == ours
    (archive,) = dist.glob(f"{name.replace('-', '_')}-[0-9]*.tar.gz")
    with tarfile.open(archive) as tar:
        members = {file.partition("/")[2].removeprefix("src/") for file in tar.getnames()}
    assert ours <= members


@pytest.mark.parametrize("name", ROOMS)
def test_wheels_have_licence_notices_and_a_description(wheels: dict[str, Path], name: str) -> None:
    wheel = zipfile.ZipFile(wheels[name])
    (folder,) = {file.partition("/")[0] for file in wheel.namelist() if ".dist-info/" in file}
    for file in ("LICENSE", "NOTICE"):
        assert wheel.read(f"{folder}/licenses/{file}") == (PROJECT / file).read_bytes()
    metadata = HeaderParser().parsestr(wheel.read(f"{folder}/METADATA").decode())
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload().strip()


def test_installed_wheels_serve_a_picture(installed: Environment, exported: Path) -> None:
    modules = installed.run("python", "-c", WHERE).split()
    assert len(modules) == len(ROOMS)
    assert all(Path(file).is_relative_to(installed.folder / "venv") for file in modules)
    assert (exported / "sakuga" / "model_repository").is_dir()
    installed.upscale()


def test_installed_wheels_have_every_command_and_the_page(installed: Environment) -> None:
    for command in ("serve", "export", "web"):
        assert "Usage: sakuga" in installed.run("sakuga", command, "--help")
    page = "from sakuga_gateway.routes.page import FOLDER; print(FOLDER / 'index.html')"
    file = Path(installed.run("python", "-c", page).strip())
    assert file.is_file()
    assert file.is_relative_to(installed.folder)


@pytest.mark.full
def test_pip_installs_all_that_a_server_needs(dist: Path, exported: Path, tmp_path: Path) -> None:
    """With others' packages as pip chooses them, which are newer than those of constraints.txt
    where there are such."""
    environment = made(tmp_path)
    pip = ["-m", "pip", "--disable-pip-version-check"]
    options = ["--quiet", "--no-compile", "--find-links", dist]
    version = parse_wheel_filename(next(dist.glob("sakuga-*.whl")).name)[1]
    wanted = f"sakuga[serve]=={version}"
    environment.run("python", *pip, "install", *options, wanted, seconds=MINUTES * 60)
    assert "No broken requirements" in environment.run("python", *pip, "check")
    (tmp_path / "data").symlink_to(exported)
    environment.upscale()
