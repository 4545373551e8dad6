"""Which Python packages go into the images: those of the requirements files, by their hashes."""

import json
import re
import tomllib
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from charts import CHECKERS, passes, run
from containers import DOCKER
from networks_for_tests import PROJECT

PIN = re.compile(r"^([\w.-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})*)$", re.MULTILINE)
DOCKERFILES = sorted(DOCKER.glob("Dockerfile.*"))
# What pip-audit finds and doesn't concern the images, with the reason why.
ACCEPTED: dict[str, str] = {}


@cache
def lock() -> Any:
    """docker/lock.py."""
    spec = spec_from_file_location("lock", DOCKER / "lock.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins(file: Path) -> dict[str, str]:
    text = file.read_text(encoding="utf-8")
    return {canonicalize_name(name): version for name, version, _ in PIN.findall(text)}


def requirements(image: str) -> Path:
    return DOCKER / "requirements" / f"{image}.txt"


def wanted(room: str) -> list[Requirement]:
    """What a room of docker/lock.py asks for itself."""
    folder, _, extras = room.partition("[")
    text = (PROJECT / folder / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    more = [
        project["optional-dependencies"][each] for each in extras.rstrip("]").split(",") if each
    ]
    return [Requirement(each) for each in sum(more, project["dependencies"])]


each_image = pytest.mark.parametrize("image", lock().IMAGES)


@each_image
def test_each_package_has_one_version_and_hashes(image: str) -> None:
    text = requirements(image).read_text(encoding="utf-8")
    assert [name for name, _, hashes in PIN.findall(text) if not hashes] == []
    assert PIN.sub("", text).strip().count("\n") == 0, "what is there beside packages"


@each_image
def test_the_versions_are_those_that_everything_was_tested_with(image: str) -> None:
    tested, locked = pins(PROJECT / "constraints.txt"), pins(requirements(image))
    assert {name: locked[name] for name in locked.keys() & tested.keys()} == {
        name: tested[name] for name in locked.keys() & tested.keys()
    }


@each_image
def test_all_that_the_rooms_ask_for_is_there_as_they_want_it(image: str) -> None:
    row, locked = lock().IMAGES[image], pins(requirements(image))
    asked = [each for room in row.rooms for each in wanted(room)]
    named = {canonicalize_name(each.name): each.specifier for each in asked}
    outside = {name for name in named if name in row.own or lock().UNHASHED.match(name)}
    assert named.keys() - outside - locked.keys() == set()
    assert [n for n in named.keys() & locked.keys() if locked[n] not in named[n]] == []
    assert lock().BUILD in locked


def test_each_image_is_for_the_python_that_it_has() -> None:
    for name, row in lock().IMAGES.items():
        text = (DOCKER / f"Dockerfile.{name.partition('-')[0]}").read_text(encoding="utf-8")
        assert f"docker/requirements/{name}.txt" in text
        # NVIDIA's has 3.12, as the Dockerfile says.
        assert re.search(rf"^ARG PYTHON=python:{row.python}-slim$", text, re.MULTILINE), name


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_nothing_is_installed_without_a_hash(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    installs = re.findall(r"\bpip (?:--python \S+ )?install +([^&\n]*)", text)
    rooms = [each for each in installs if " ./core " in each]
    hashed = [each for each in installs if "--require-hashes" in each]
    assert len(rooms) == len(hashed) > 0
    assert all({"--no-deps", "--no-build-isolation"} <= {*each.split()} for each in rooms)
    # Torch, whose wheels for CPUs are in an index of their own, has its tested version.
    others = [each for each in installs if each not in (*rooms, *hashed)]
    assert all(re.search(r"-c constraints.txt --no-deps .* torch +torchvision", o) for o in others)


@pytest.mark.deploy
@each_image
def test_no_package_has_a_known_hole(image: str, tmp_path: Path) -> None:
    """Skipped, with the reason, where the database of holes doesn't answer for every package."""
    options = ["--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off"]
    done = run(CHECKERS / "pip-audit", *options, "-r", requirements(image))
    if not done.stdout:
        pytest.skip(f"not checked: {done.stderr.strip().splitlines()[-1]}")
    rows = json.loads(done.stdout)["dependencies"]
    found = {row["name"]: row["vulns"] for row in rows if row.get("vulns")}
    assert {n: v for n, v in found.items() if not {hole["id"] for hole in v} <= {*ACCEPTED}} == {}
    skipped = [row["name"] for row in rows if "skip_reason" in row]
    if skipped:
        pytest.skip(f"PyPI answers nothing for {len(skipped)} of {len(rows)} packages, not checked")


@pytest.mark.deploy
def test_a_bill_of_materials_names_every_package(tmp_path: Path) -> None:
    passes("make", "--no-print-directory", "sbom", f"SBOM={tmp_path}", cwd=PROJECT)
    for image in lock().IMAGES:
        bill = json.loads((tmp_path / f"{image}.json").read_text(encoding="utf-8"))
        named = {canonicalize_name(each["name"]): each for each in bill["components"]}
        locked = pins(requirements(image))
        assert {name: each["version"] for name, each in named.items()} == locked
        assert all(each["externalReferences"][0]["hashes"] for each in named.values())
