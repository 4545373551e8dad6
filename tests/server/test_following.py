"""How a running server follows config.yaml: step by step, with a Triton that keeps a list."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sakuga import load_config
from sakuga_core.errors import SakugaError, ServerError
from sakuga_core.networks.registry import by_name
from sakuga_server.runtime import following
from sakuga_server.runtime.following import Follower
from sakuga_server.runtime.placement import wanted
from sakuga_server.runtime.repository import bring_up

VIDEO, GENERAL = "realesr-animevideov3", "realesr-general-x4v3"


@dataclass
class Triton:
    """Stands for a server's `Control`: the models that are loaded, with the images of each."""

    loaded: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    answers: bool = True

    async def images(self) -> dict[str, int]:
        if not self.answers:
            raise ServerError("Triton doesn't answer")
        return dict(self.loaded)

    async def load(self, model: str) -> None:
        if model in self.refused:
            raise ServerError("no memory")
        self.loaded[model] = 0

    async def unload(self, model: str) -> None:
        del self.loaded[model]


@dataclass
class Followed:
    """A server at work: its config.yaml, its repositories, what it prints, and a clock."""

    folder: Path
    triton: Triton
    follower: Follower
    lines: list[str]
    now: float = 0.0
    edits: int = 0

    def write(self, model: str, **server: object) -> None:
        self.edits += 1
        write(self.folder, model, self.edits, **server)

    async def step(self) -> list[str]:
        """What one look prints."""
        self.lines.clear()
        await self.follower.step()
        return list(self.lines)


def write(folder: Path, model: str, age: int, **server: object) -> None:
    """A config.yaml that is old enough to be read, and another age than before."""
    blocks = {
        "providers": {"image": {"upscale": {"model": model}}},
        "server": {"repository": "exported", "unload_after": 10, **server},
    }
    file = folder / "config.yaml"
    file.write_text(json.dumps(blocks))
    os.utime(file, (age, age))


@pytest.fixture
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Followed:
    for name in (VIDEO, GENERAL):
        file = tmp_path / "exported" / by_name(name).folder / "1" / "model.onnx"
        file.parent.mkdir(parents=True)
        file.touch()
    write(tmp_path, VIDEO, 0)
    config, repository, lines = load_config(tmp_path / "config.yaml"), tmp_path / "models", []
    bring_up(repository, config)
    for file in repository.glob("**/*"):
        os.utime(file, (1, 1))
    triton = Triton(dict.fromkeys(wanted(config, repository), 0))
    follower = Follower(config, triton, repository, lines.append)  # type: ignore[arg-type]
    found = Followed(tmp_path, triton, follower, lines)
    monkeypatch.setattr(following.time, "monotonic", lambda: found.now)
    monkeypatch.setattr(following, "_is_stable", lambda stamps: True)
    return found


async def test_without_an_edit_nothing_happens(followed: Followed) -> None:
    before = dict(followed.triton.loaded)
    assert await followed.step() == []
    assert followed.triton.loaded == before


async def test_an_edit_loads_what_it_names_and_says_when_it_is_in_effect(
    followed: Followed,
) -> None:
    followed.write(GENERAL)
    first, *_, last = await followed.step()
    assert first == "loaded realesr_general_x4v3 in 0.0 s"
    assert last == "config.yaml was edited; the edit is in effect"
    assert await followed.step() == []


async def test_what_nothing_names_is_unloaded_once_it_is_idle_for_long_enough(
    followed: Followed,
) -> None:
    followed.write(GENERAL)
    await followed.step()
    assert await followed.step() == []  # idle from now on
    followed.now, followed.triton.loaded["realesr_animevideov3"] = 9, 1
    assert await followed.step() == []  # a picture came
    followed.now = 15
    assert await followed.step() == []
    followed.now = 19.5
    assert await followed.step() == ["unloaded realesr_animevideov3 in 0.0 s"]


async def test_what_was_loaded_by_hand_stays_where_no_request_would_load_it(
    followed: Followed,
) -> None:
    followed.write(VIDEO, load_on_demand=False)
    await followed.step()
    followed.triton.loaded["realesr_general_x4v3"] = 0
    await followed.step()
    followed.now = 100
    assert await followed.step() == []


async def test_an_edit_whose_writing_failed_is_tried_again(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed.write(GENERAL)
    with monkeypatch.context() as full:
        full.setattr(following, "bring_up", disk_full)
        for _ in range(2):
            with pytest.raises(OSError, match="disk is full"):
                await followed.step()
    assert "realesr_general_x4v3" not in followed.triton.loaded
    assert "the edit is in effect" in (await followed.step())[-1]
    assert "realesr_general_x4v3" in followed.triton.loaded


async def test_a_triton_that_was_started_again_gets_what_it_had(followed: Followed) -> None:
    followed.write(GENERAL)
    await followed.step()
    del followed.triton.loaded["realesr_general_x4v3"]  # which its first start didn't have
    assert await followed.step() == []
    followed.follower.is_behind = True
    assert await followed.step() == ["loaded realesr_general_x4v3 in 0.0 s"]
    assert await followed.step() == []


async def test_an_edit_that_triton_did_not_hear_of_is_tried_again(followed: Followed) -> None:
    followed.write(GENERAL)
    followed.triton.answers = False
    with pytest.raises(SakugaError):
        await followed.step()
    followed.triton.answers = True
    assert "the edit is in effect" in (await followed.step())[-1]
    assert "realesr_general_x4v3" in followed.triton.loaded


async def test_a_model_that_cannot_be_loaded_holds_up_no_other(followed: Followed) -> None:
    followed.triton.refused = {"realesr_general_x4v3"}
    followed.write(GENERAL, upscale_workers=1)
    first, *others = await followed.step()
    assert first == "realesr_general_x4v3 wasn't loaded: no memory"
    assert any(line.startswith("loaded upscale") for line in others)
    assert not any("in effect" in line for line in others)


async def test_a_network_whose_export_is_gone_is_served_on_and_not_loaded_again(
    followed: Followed,
) -> None:
    (followed.folder / "exported" / "realesr_animevideov3" / "1" / "model.onnx").unlink()
    followed.triton.refused = {"realesr_animevideov3"}
    followed.write(GENERAL)
    assert "in effect" in (await followed.step())[-1]
    assert "realesr_animevideov3" in followed.triton.loaded


async def test_settings_of_the_start_wait_for_the_next_one(followed: Followed) -> None:
    followed.write(VIDEO, http_port=1)
    lines = await followed.step()
    assert "server.http_port takes effect when the server is started again" in lines
    assert followed.follower.config.server.http_port is None


async def test_a_problem_is_reported_once_until_it_is_over(followed: Followed) -> None:
    for problem in ("a", "a", "b", "a"):
        followed.follower._report(problem)
    assert followed.lines == ["a", "b", "a"]


def disk_full(*_: object) -> None:
    raise OSError(28, "the disk is full")
