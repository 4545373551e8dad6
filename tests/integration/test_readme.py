"""What the README, and the guide to repairing, show is what happens."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from networks_for_tests import PROJECT
from sakuga_core.actions import ACTIONS, ImageAction
from sakuga_core.networks import registry
from serving_for_tests import SAKUGA

README = (PROJECT / "README.md").read_text(encoding="utf-8")
REPAIR = (PROJECT / "docs" / "guides" / "repair.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^sakuga ((?!web|serve).*?)(?: +#.*)?$", README, re.MULTILINE)
SIZES = {"heroine-2x.png": (400, 480), "heroine-repaired.png": (400, 480)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader stands: samples, of which a quarter each for the time it takes, a picture of
    their own, and config.yaml."""
    (tmp_path / "samples").mkdir()
    for name in ("heroine.png", "heroine_q25.jpg"):
        part = Image.open(PROJECT / "samples" / name).crop((80, 100, 280, 340))
        part.save(tmp_path / "samples" / name, **({"quality": 25} if "q25" in name else {}))
    small = Image.open(PROJECT / "samples" / "heroine.png").resize((60, 72)).convert("RGB")
    for name in ("picture.png", "picture.jpg"):
        small.save(tmp_path / name)
    shutil.copy(PROJECT / "config.yaml", tmp_path)
    return tmp_path


def test_it_is_read_in_a_minute() -> None:
    assert len(README.splitlines()) <= 150
    (python,) = blocks(README, "python")
    assert len([line for line in python.splitlines() if line.strip()]) == 8


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


@pytest.mark.parametrize("page", [README, REPAIR], ids=["README", "repair"])
def test_the_python_examples_run(page: str, folder: Path, url: str) -> None:
    (example,) = blocks(page, "python")
    environment = {**os.environ, "SAKUGA_URL": url}
    subprocess.run([sys.executable, "-c", example], cwd=folder, env=environment, check=True)
    written = {file.name: Image.open(file).size for file in folder.glob("heroine-*.png")}
    assert written
    assert written.items() <= {**SIZES, "heroine-inpainted.png": (200, 240)}.items()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_run(command: str, folder: Path, url: str) -> None:
    environment = {**os.environ, "SAKUGA_URL": url}
    subprocess.run([SAKUGA, *shlex.split(command)], cwd=folder, env=environment, check=True)
    (written,) = (folder / command.partition(" -o ")[2].split()[0]).iterdir()
    assert Image.open(written).width == (60 if command.startswith("rembg") else 120)


def test_there_are_commands_for_three_actions() -> None:
    assert [command.split()[0] for command in COMMANDS] == ["upscale", "rembg", "fix-artifacts"]


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_is_in_the_table_with_its_default(action: str) -> None:
    (model,) = re.findall(rf"^\| `{action}` \|.*\| `(.*)` \|$", README, re.MULTILINE)
    assert model == ACTIONS[ImageAction(action)].default_model


@pytest.mark.parametrize("name", registry.names())
def test_every_network_is_in_the_table(name: str) -> None:
    table = README.partition("## Networks")[2].partition("\n## ")[0]
    patterns = [pattern.replace("*", ".*") for pattern in re.findall(r"`([\w*-]+)`", table)]
    others = {"u2net-human-seg", "silueta"}  # "others of rembg"
    assert name in others or any(re.fullmatch(pattern, name) for pattern in patterns)


@pytest.mark.parametrize("target", re.findall(r"make (\w+)", README))
def test_every_make_command_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (PROJECT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_every_link_leads_somewhere(link: str) -> None:
    assert link.startswith("https://") or (PROJECT / link).exists()
