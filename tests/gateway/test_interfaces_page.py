"""The pages on HTTP and on other tools' interfaces, and the README's line: commands run, tables are
complete."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from gateway_for_tests import Web
from sakuga_gateway.routes import automatic1111, rembg, remove_bg
from sakuga_gateway.routes.automatic1111_lists import NAMES, NOTHING

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs/guides/interfaces.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
LINES = [
    line
    for name in ("README.md", "docs/guides/http.md")
    for line in (PROJECT / name).read_text().splitlines()
    if re.match(r"curl .*/v1/(upscale|rembg|fix-artifacts)", line)
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.search(r"8080(\S+)", block)[1])
def test_its_commands_run(web: Web, picture: bytes, tmp_path: Path, block: str) -> None:
    (tmp_path / "a.png").write_bytes(picture)
    script = "set -eu\n" + block.replace("localhost:8080", f"127.0.0.1:{web.port}")
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    results = [path for path in tmp_path.iterdir() if path.name.startswith("b.")]
    for path in results:
        is_picture = path.read_bytes().startswith(b"\x89PNG")
        assert is_picture if path.suffix == ".png" else json.loads(path.read_text())
    assert results


@pytest.mark.parametrize("line", LINES)
def test_each_line_for_a_picture_gives_one(
    web: Web, picture: bytes, tmp_path: Path, line: str
) -> None:
    (tmp_path / "samples").mkdir()
    for name in ("a.png", "a.jpg", "samples/heroine.png"):
        (tmp_path / name).write_bytes(picture)
    command = line.replace("localhost:8080", f"127.0.0.1:{web.port}")
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    assert Path(tmp_path, line.rpartition(" -o ")[2]).read_bytes().startswith(b"\x89PNG")


def test_there_are_such_lines() -> None:
    assert len(LINES) == 4


def test_every_field_is_on_the_page() -> None:
    kinds = (rembg.Parameters, remove_bg.Parameters, automatic1111.Extras)
    names = [name for kind in kinds for name in kind.model_fields]
    for name in (*names, *NAMES, *NOTHING):
        shown = name.replace("upscaling_resize_h", "_h")
        assert f"`{shown}`" in PAGE, name
