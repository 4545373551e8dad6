"""Edits of config.yaml that name networks which don't exist."""

import os
import time
from pathlib import Path

import pytest

from sakuga_core.config.file import load_config, refresh
from sakuga_core.live import follow_edits
from sakuga_core.repository.checks import problems


def write(folder: Path, model: str, url: str = "auto") -> Path:
    """A file that was written a while ago, each time at another moment."""
    file = folder / "config.yaml"
    text = f"providers: {{image: {{upscale: {{model: {model}}}}}}}\nserver: {{url: '{url}'}}\n"
    then = time.time() - 1000 + len(text)
    file.write_text(text)
    os.utime(file, (then, then))
    return file


@pytest.mark.parametrize("model", ["realesr-animevido", "u2net"])
def test_an_edit_that_names_no_upscaler_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, model: str
) -> None:
    config = load_config(write(tmp_path, "realesr-animevideov3"))
    write(tmp_path, model)
    assert not follow_edits(config)
    assert config.providers.image.upscale.model == "realesr-animevideov3"
    assert f"'providers.image.upscale.model' is {model!r}; allowed: " in caplog.text
    assert "config.yaml, line 1" in caplog.text
    write(tmp_path, "waifu2x-cunet")
    assert follow_edits(config)
    assert config.providers.image.upscale.model == "waifu2x-cunet"


def test_a_server_elsewhere_may_have_networks_that_are_not_known_here(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "realesr-animevideov3", "host:8001"))
    write(tmp_path, "of-that-server", "host:8001")
    assert follow_edits(config)
    assert config.providers.image.upscale.model == "of-that-server"


def test_a_server_itself_knows_its_networks_whatever_its_address(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "realesr-animevideov3", "host:8001"))
    write(tmp_path, "of-that-server", "host:8001")
    assert not refresh(config, problems)
