"""What the README shows is what happens."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from networks_for_tests import PROJECT
from sakuga_core.networks import registry
from sakuga_core.options import FixArtifactsOptions, RembgOptions

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def test_the_python_examples_run(tmp_path: Path, url: str) -> None:
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(examples) == 2
    (tmp_path / "samples").mkdir()
    for name in ("heroine.png", "heroine_q25.jpg"):  # a quarter of each, for the time it takes
        part = Image.open(PROJECT / "samples" / name).crop((80, 100, 280, 340))
        part.save(tmp_path / "samples" / name, **({"quality": 25} if "q25" in name else {}))
    shutil.copy(PROJECT / "config.yaml", tmp_path)
    environment = {**os.environ, "SAKUGA_URL": url}
    for example in examples:
        subprocess.run([sys.executable, "-c", example], cwd=tmp_path, env=environment, check=True)
    for name, size in (("2x", (400, 480)), ("repaired", (400, 480)), ("inpainted", (200, 240))):
        assert Image.open(tmp_path / f"heroine-{name}.png").size == size


@pytest.mark.parametrize(
    "option", {**FixArtifactsOptions.model_fields, **RembgOptions.model_fields}
)
def test_every_option_is_in_the_table(option: str) -> None:
    assert f"\n| `{option}`" in README


@pytest.mark.parametrize("name", registry.names())
def test_every_network_is_in_the_table(name: str) -> None:
    assert re.search(rf"^\| [^|]*`{name}`", README, re.MULTILINE)


@pytest.mark.parametrize("target", re.findall(r"make (\w+)", README))
def test_every_make_command_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (PROJECT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (PROJECT / link).exists()
