"""Where a server puts its files, and what it does where it can't."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sakuga import ConfigError
from sakuga_server.runtime import machine, workspace
from sakuga_server.runtime.embedded import Embedded
from sakuga_server.runtime.record import recorded


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that nobody can write to, and a folder for temporary files, which it returns."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return temporary


def test_without_a_cache_the_folder_for_temporary_files_is_taken(no_cache: Path) -> None:
    with workspace.workspace() as place:
        assert place.folder.is_relative_to(no_cache)
        assert place.folder.stat().st_mode & 0o777 == 0o700
    assert not place.folder.exists()


def test_without_room_it_says_where_it_looked(
    no_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "LEAST", 2**60)
    wanted = rf"file/sakuga/\S+: Not a directory; {no_cache}\S+: \d+ MB free, less than .*TMPDIR"
    with pytest.raises(ConfigError, match=wanted), workspace.workspace():
        pass


def test_a_folder_of_another_user_is_not_taken(
    no_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with workspace.workspace() as place:  # which makes it
        owner = place.folder.stat().st_uid
    monkeypatch.setattr("os.getuid", lambda: owner + 1)
    next(no_cache.iterdir()).rename(no_cache / f"sakuga-{owner + 1}")
    with pytest.raises(ConfigError, match="another user's"), workspace.workspace():
        pass


def test_a_server_that_cant_be_recorded_serves_and_says_what_that_means(
    caplog: pytest.LogCaptureFixture,
) -> None:
    running = cast(Embedded, SimpleNamespace(url="127.0.0.1:8001", key="secret"))
    with caplog.at_level(logging.WARNING), recorded(running):
        (line,) = caplog.messages
    assert "8001.json (Not a directory): commands need --url, and SAKUGA_ADMIN_KEY" in line
    assert "secret" not in line


def test_the_folder_of_its_triton_goes_with_it_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "TRITONS", tmp_path)
    made: Any = [tmp_path / f"python_env_{name}" for name in "abcd"]
    made[0].mkdir()  # of another Triton
    with workspace.workspace() as place:
        before = workspace.tritons_folders()
        place.adopt(before)
        made[1].mkdir()
        place.adopt(before)
        made[2].mkdir()  # of one that is started later
        place.adopt(before)
    assert [folder.exists() for folder in made] == [True, False, True, False]


def test_a_container_without_shared_memory_is_told_which_option_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "SHM_LEAST", 2**60)
    with pytest.raises(ConfigError, match=r"/dev/shm has \d+ MB free.*--shm-size=2g"):
        machine.check_shared_memory()
