"""What the server tells of its networks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sakuga import BadOption, Config, ModelNotInstalled, ModelNotLoaded
from sakuga_core.networks.registry import SEGMENTERS
from sakuga_core.repository import pipelines
from sakuga_server.runtime.inventory import Inventory, memory_of_stubs

VIDEO = "realesr-animevideov3"


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    """Of a repository that holds the video network, which may be loaded on demand."""
    file = tmp_path / "realesr_animevideov3" / "1" / "model.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(3 << 20))
    return Inventory.from_parameters(tmp_path, pipelines.networks(Config())["parameters"])


def test_it_tells_installed_from_loaded(inventory: Inventory) -> None:
    listed = inventory.listed(lambda model: model == "realesr_animevideov3")
    assert (listed[VIDEO]["installed"], listed[VIDEO]["loaded"]) == (True, True)
    assert listed[VIDEO]["megabytes"] == 3
    assert (listed["u2net"]["installed"], listed["u2net"]["loaded"]) == (False, False)


def test_what_was_not_tried_is_listed_as_such(inventory: Inventory) -> None:
    listed = inventory.listed(lambda _: False)
    assert listed["u2netp"]["tried"]
    assert not listed["birefnet-general"]["tried"]
    assert {n.name for n in SEGMENTERS if not n.tried and n.half} == set()


def test_what_can_not_be_loaded_is_an_error(inventory: Inventory) -> None:
    inventory.check_loadable(VIDEO)
    with pytest.raises(ModelNotInstalled, match="sakuga export u2net"):
        inventory.check_loadable("u2net")
    with pytest.raises(BadOption, match="'waifu2x'; allowed: realesrgan-x4plus-anime"):
        inventory.folder("waifu2x")
    inventory.on_demand = False
    with pytest.raises(ModelNotLoaded, match="sakuga models load"):
        inventory.check_loadable(VIDEO)


def test_what_is_there_instead_is_named(inventory: Inventory) -> None:
    for name in ("u2netp", "waifu2x-cunet-2x-denoise0"):
        inventory.file(name).parent.mkdir(parents=True)
        inventory.file(name).touch()
    for model, others in (
        ("u2net", "u2netp"),
        ("realesrgan-x4plus", f"{VIDEO}, waifu2x-cunet"),
        ("waifu2x-cunet-2x-denoise3", VIDEO),
    ):
        with pytest.raises(ModelNotInstalled, match=f"or name one that is there: {others}$"):
            inventory.check_loadable(model)


def test_memory_is_that_of_a_models_processes(tmp_path: Path) -> None:
    # Two processes called as Triton's are, one of which holds 64 MB.
    stub = tmp_path / "triton_python_backend_stub"
    stub.symlink_to(sys.executable)
    wait = "import sys; held = b'x' * int(sys.argv[2]); print(flush=True); sys.stdin.read()"
    script = tmp_path / "u2net" / "1" / "model.py"
    script.parent.mkdir(parents=True)
    script.write_text(wait)
    processes = [
        subprocess.Popen(
            [str(stub), str(script), "x", str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for size in (0, 64 << 20)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        assert 64 <= memory_of_stubs(os.getpid())["u2net"] < 200
        assert memory_of_stubs(processes[0].pid) == {}
    finally:
        for process in processes:
            process.communicate()
