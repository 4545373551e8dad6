"""Files that are there whole or not at all, and locks between processes."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sakuga_core.atomic import locked, write_whole


def test_a_file_that_can_not_be_written_whole_stays_what_it_was(tmp_path: Path) -> None:
    target = tmp_path / "result.png"
    target.write_bytes(b"before")
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from sakuga_core.atomic import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # as on a full disk\n"
        "write_whole(Path(sys.argv[1]), bytes(5000))"
    )
    done = subprocess.run([sys.executable, "-c", program, target], capture_output=True, text=True)
    assert "File too large" in done.stderr
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_file_is_replaced_with_its_mode_and_its_folder_is_made(tmp_path: Path) -> None:
    target = tmp_path / "new" / "key.json"
    for content in (b"one", b"two"):
        write_whole(target, content, mode=0o600)
        assert target.read_bytes() == content
        assert target.stat().st_mode & 0o777 == 0o600
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_whole(tmp_path / "taken", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_another_process_waits_for_the_lock(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from sakuga_core.atomic import locked\n"
        "print('waits', flush=True)\n"
        "with locked(Path(sys.argv[1])): print(Path(sys.argv[2]).read_text())"
    )
    lock, note = tmp_path / "lock", tmp_path / "note"
    with locked(lock):
        command = [sys.executable, "-c", program, lock, note]
        other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert other.stdout
        assert other.stdout.readline() == "waits\n"
        note.write_text("done before")
    assert other.communicate()[0] == "done before\n"
