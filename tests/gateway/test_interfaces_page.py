"""The page on other tools' interfaces: its commands run, and its tables are complete."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from gateway_for_tests import Web
from sakuga_gateway.routes import automatic1111, rembg, remove_bg
from sakuga_gateway.routes.automatic1111_lists import NAMES, NOTHING

PAGE = (Path(__file__).parents[2] / "docs" / "interfaces.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


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


def test_every_field_is_on_the_page() -> None:
    kinds = (rembg.Parameters, remove_bg.Parameters, automatic1111.Extras)
    names = [name for kind in kinds for name in kind.model_fields]
    for name in (*names, *NAMES, *NOTHING):
        shown = name.replace("upscaling_resize_h", "_h")
        assert f"`{shown}`" in PAGE, name
