"""What `make run` says."""

import os
import re
import shlex
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from networks_for_tests import PROJECT
from pictures import encoded, sample

# Set-up alone, all of `make run`, and what builds distributions.
GOALS = [("setup", 4), ("run", 7), ("dist", 1)]
STEP = re.compile(
    r"\[(?P<number>\d)/(?P<of>\d)\] .*: "
    r"about (?P<own>\d+) s, (?P<left>\d+) (?P<unit>s|min) to the end"
)


def showcase() -> Any:
    """samples/showcase.py."""
    spec = spec_from_file_location("showcase", PROJECT / "samples" / "showcase.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_commands_that_it_names_at_the_end_work(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = sample("heroine")[100:220, 80:180]
    Path("your.png").write_bytes(encoded(np.ascontiguousarray(picture)))
    environment = {**os.environ, "SAKUGA_URL": url}
    page, *commands = [command for command, _ in showcase().next_steps("u2net")]
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{page.removeprefix('make ')}:", makefile, re.MULTILINE)
    for command in commands:
        subprocess.run(shlex.split(command), env=environment, check=True)
    assert Image.open("out/your.png").size == (400, 480)
    assert Image.open("out/cut/your.png").mode == "RGBA"


def planned(goal: str, folder: Path) -> list[str]:
    """What the steps would say in a folder where nothing is set up."""
    for name in ("constraints.txt", "export/pyproject.toml", "release/requirements.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    command = ["make", "-n", "-C", folder, "-f", PROJECT / "Makefile", f"PYTHON={sys.executable}"]
    lines = subprocess.check_output([*command, goal], text=True).splitlines()
    steps = "\n".join(line for line in lines if line.startswith("left="))
    return subprocess.check_output(["bash", "-c", steps], text=True).splitlines()


@pytest.mark.parametrize(("goal", "steps"), GOALS)
def test_each_step_says_how_long_it_and_the_rest_will_take(
    goal: str, steps: int, tmp_path: Path
) -> None:
    said = [STEP.fullmatch(line) for line in planned(goal, tmp_path)]
    assert [(each["number"], each["of"]) for each in said if each] == [
        (str(number), str(steps)) for number in range(1, steps + 1)
    ]
    own = [int(each["own"]) for each in said if each]
    left = [int(each["left"]) * (60 if each["unit"] == "min" else 1) for each in said if each]
    sums = [sum(own[number:]) for number in range(steps)]
    assert left == pytest.approx(sums, abs=30)
