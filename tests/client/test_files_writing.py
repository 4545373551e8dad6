"""Results are written whole or not at all, whatever happens meanwhile."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sakuga.files.stores import LocalStore
from sakuga_core.atomic import PREFIX, SUFFIX, Unfinished, remove_abandoned, write_whole

# A process that has begun a file, and waits.
WRITER = """
import sys
from collections.abc import Iterator
from pathlib import Path
from sakuga_core.atomic import Unfinished

unfinished = Unfinished(Path(sys.argv[1]))
unfinished.file.write(b"half")
unfinished.file.flush()
print("begun", flush=True)
sys.stdin.read()
"""


def writer(target: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, target],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    return process


def test_what_a_killed_process_began_is_removed_and_what_another_writes_is_not(
    tmp_path: Path,
) -> None:
    killed, writing = writer(tmp_path / "a.png"), writer(tmp_path / "b.png")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(os.listdir(tmp_path)) == 2
    (tmp_path / f"{PREFIX}mine.png").touch()
    LocalStore().write(str(tmp_path / "c.png"), b"whole", replace=False)
    left = set(os.listdir(tmp_path)) - {"c.png", f"{PREFIX}mine.png"}
    assert len(left) == 1
    assert left.pop().endswith(SUFFIX)
    writing.kill()
    writing.wait()
    assert remove_abandoned(tmp_path) == 1
    assert sorted(os.listdir(tmp_path)) == [f"{PREFIX}mine.png", "c.png"]


def test_a_file_that_appeared_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    unfinished = Unfinished(tmp_path / "a.png", replace=False)
    unfinished.file.write(b"mine")
    (tmp_path / "a.png").write_bytes(b"another's")
    with pytest.raises(FileExistsError, match=r"a\.png"):
        unfinished.finish()
    assert (tmp_path / "a.png").read_bytes() == b"another's"
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_broken_link_is_not_replaced_either(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("nothing")
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "a.png", b"1", replace=False)
    assert (tmp_path / "a.png").is_symlink()


def test_replacing_one_of_two_hard_links_leaves_the_other(tmp_path: Path) -> None:
    (tmp_path / "original").write_bytes(b"before")
    (tmp_path / "a.png").hardlink_to(tmp_path / "original")
    write_whole(tmp_path / "a.png", b"after")
    assert (tmp_path / "original").read_bytes() == b"before"
    assert (tmp_path / "a.png").read_bytes() == b"after"


def test_discarded_files_leave_nothing(tmp_path: Path) -> None:
    unfinished = Unfinished(tmp_path / "sub" / "a.png")
    unfinished.file.write(b"half")
    unfinished.discard()
    assert os.listdir(tmp_path / "sub") == []


def test_a_folder_in_the_place_of_a_file_is_named_itself(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(IsADirectoryError) as error:
        LocalStore().write(str(tmp_path / "a.png"), b"1", replace=True)
    assert error.value.filename == str(tmp_path / "a.png")
    assert error.value.filename2 is None


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "a.png", b"1", replace=False)
    finally:
        os.umask(before)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o640


def test_cleaning_up_is_no_error_where_there_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert remove_abandoned(tmp_path / "nothing") == 0
    assert remove_abandoned(tmp_path / "file") == 0
    (tmp_path / f"{PREFIX}folder{SUFFIX}").mkdir()
    (tmp_path / f"{PREFIX}link{SUFFIX}").symlink_to("file")
    assert remove_abandoned(tmp_path) == 0


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KB."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", tmp_path], capture_output=True
    )
    if done.returncode:
        pytest.skip("this user may mount nothing")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_on_a_full_disk_the_old_file_stays_whole(tiny_disk: Path) -> None:
    write_whole(tiny_disk / "a.png", b"old")
    with pytest.raises(OSError, match="No space left") as error:
        write_whole(tiny_disk / "a.png", bytes(2**20))
    assert error.value.errno == errno.ENOSPC
    assert (tiny_disk / "a.png").read_bytes() == b"old"
    assert os.listdir(tiny_disk) == ["a.png"]
