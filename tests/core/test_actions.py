"""Everything about an action follows from its row: shown by adding one."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from networks_for_tests import PROJECT
from sakuga_core import actions
from sakuga_core.actions import ACTIONS, ImageAction
from sakuga_core.errors import BadOption

# What somebody writes who adds an action: a member and a row, and the options in a file of their
# own. (The third file is the pipeline, the fourth the test.)
MEMBER = '    INVERT = "invert"\n'
ROW = """
        Action(
            name=ImageAction.INVERT,
            summary="Invert the colours of pictures.",
            kind="upscale",
            option_class=_invert_options,
            default_model="realesr-animevideov3",
            default_family="realesrgan",
            triton_model="invert",
            program=Program(
                pipeline="invert_pipeline:Invert", about="Inverting.", workers="upscale_workers"
            ),
            results=("inverted",),
        ),
    )
}
"""
LOADER = """def _invert_options() -> "type[PictureOptions]":
    from sakuga_core.options.invert import InvertOptions

    return InvertOptions


ACTIONS: Mapping"""
OPTIONS = '''"""Options of `invert`."""

from typing import Annotated

from pydantic import Field

from sakuga_core.options.common import PictureOptions


class InvertOptions(PictureOptions):
    strength: Annotated[float, Field(ge=0, le=1, description="how much")] = 1.0
'''


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the core with one more action: two files are touched."""
    folder = tmp_path_factory.mktemp("overlay")
    shutil.copytree(PROJECT / "core" / "src" / "sakuga_core", folder / "sakuga_core")
    rows = folder / "sakuga_core" / "actions.py"
    text = rows.read_text()
    text = text.replace('    ENHANCE = "enhance"\n', f'    ENHANCE = "enhance"\n{MEMBER}')
    text = text.replace("ACTIONS: Mapping", LOADER).replace("\n    )\n}\n", ROW)
    rows.write_text(text)
    (folder / "sakuga_core" / "options" / "invert.py").write_text(OPTIONS)
    return folder


def run(overlay: Path, program: str) -> str:
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(overlay)!r})\n{program}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=overlay)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_action_is_a_command_with_its_options_as_flags(overlay: Path) -> None:
    main = "from sakuga.cli import main; main({arguments}, standalone_mode=False)"
    assert "Invert the colours" in run(overlay, main.format(arguments="['--help']"))
    text = run(overlay, main.format(arguments="['invert', '--help']"))
    assert "--strength" in text
    assert "how much" in text


def test_a_new_action_has_a_block_in_config_yaml_and_its_schema(overlay: Path) -> None:
    (overlay / "own.yaml").write_text("providers: {image: {invert: {strength: 0.5}}}")
    program = (
        "import json; from sakuga_core.config.file import load_config\n"
        "from sakuga_core.config.schema import json_schema\n"
        "config = load_config('own.yaml'); schema = json_schema()\n"
        "print(json.dumps([config.options_for('invert', {'format': 'webp'}), schema['$defs']]))"
    )
    options, blocks = json.loads(run(overlay, program))
    expected = {"strength": 0.5, "format": "webp", "model": "realesr-animevideov3"}
    assert options == expected
    assert "strength" in blocks["InvertBlock"]["properties"]
    assert "invert" in blocks["ImageProviders"]["properties"]


def test_a_new_action_is_a_model_in_the_repository(overlay: Path) -> None:
    program = (
        "from pathlib import Path; from sakuga_core.config.schema import Config\n"
        "from sakuga_core.repository import writer; writer.write(Path('models'), Config())"
    )
    run(overlay, program)
    folder = overlay / "models" / "invert"
    assert "from invert_pipeline import Invert" in (folder / "1" / "model.py").read_text()
    assert 'name: "invert"' in (folder / "config.pbtxt").read_text()


def test_a_new_action_is_routed_to_its_model(overlay: Path) -> None:
    program = """
import asyncio
from sakuga import Config, Images, Reply
from sakuga.triton import Triton

class Recorder(Triton):
    async def infer(self, model, image, options, deadline, on_progress):
        print(model, image, options["strength"])
        return Reply(b"", {})

config = Config()
images = Images(config, Recorder(config.server))
asyncio.run(images.process(b"picture", "invert", {"strength": 0.25}))
"""
    assert run(overlay, program) == "invert b'picture' 0.25\n"


@pytest.mark.parametrize("action", ACTIONS.values(), ids=lambda action: action.name.value)
def test_rows_are_complete(action: actions.Action) -> None:
    assert action.options.model_fields
    assert action.triton_model in actions.programs()
    assert action.summary.endswith(".")


def test_an_unknown_action_is_refused_with_those_there_are() -> None:
    assert actions.find("enhance").name is ImageAction.ENHANCE
    with pytest.raises(BadOption, match="'sharpen'; allowed: upscale, enhance, rembg, fix_"):
        actions.find("sharpen")
