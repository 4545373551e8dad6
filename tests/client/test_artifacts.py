from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sakuga import Reply, inpaint_regions
from sakuga.triton import Triton
from sakuga_core.config.server import Server


class Recorder(Triton):
    """A connection that notes the options it is given."""

    def __init__(self) -> None:
        super().__init__(Server())
        self.options: list[Mapping[str, Any]] = []

    async def infer(
        self, model: str, image: bytes, options: Mapping[str, Any], *_: Any, **__: Any
    ) -> Reply:
        self.options.append(options)
        return Reply(b"", {})


async def test_inpainted_regions_are_a_png_whatever_the_configuration_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("realesrgan: {format: raw}")
    monkeypatch.setenv("SAKUGA_CONFIG", str(tmp_path / "config.yaml"))
    recorder = Recorder()
    await inpaint_regions(b"", [], triton=recorder)
    assert [options["format"] for options in recorder.options] == ["png"]
