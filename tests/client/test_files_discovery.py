"""Which pictures are found, and what is said of the others."""

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from made_files import AVIF, JPEG, PNG, TEXT, made
from sakuga import BadInput
from sakuga.files.discovery import discover, natural
from sakuga.files.found import HIDDEN, OTHERS, OUTPUT, REPEATED, Found

MOST = 2**20
NOBODY = 65534


def found(*inputs: object, excluded: tuple[Path, ...] = ()) -> Found:
    return discover(list(map(str, inputs)), [str(path) for path in excluded], MOST)


def names(result: Found, below: Path) -> list[str]:
    return [os.path.relpath(item.source.name, below) for item in result.items]


def skipped(result: Found, reason: str, below: Path) -> set[str]:
    return {os.path.relpath(name, below) for name in result.skipped.get(reason, [])}


def test_pictures_are_found_by_their_content_whatever_their_names(tmp_path: Path) -> None:
    for name, content in {
        "a.jfif": JPEG,
        "b.jpe": JPEG,
        "c.avif": AVIF,
        "d.JPG": JPEG,
        "e": PNG,
        "f.jpg": PNG,
        "g.dat": AVIF,
        "h.TGA": TEXT,
    }.items():
        (tmp_path / name).write_bytes(content)
    result = found(tmp_path)
    assert names(result, tmp_path) == sorted(os.listdir(tmp_path))
    kinds = [item.format.name if item.format else None for item in result.items]
    assert kinds == ["jpeg", "jpeg", "avif", "jpeg", "png", "png", "avif", "tga"]


def test_what_is_no_picture_is_counted_and_named(tmp_path: Path) -> None:
    made(tmp_path, "a.png", "notes.txt", "sub/read.xml")
    (tmp_path / "raw.NEF").write_bytes(b"II*\0" + bytes(60))
    result = found(tmp_path)
    assert names(result, tmp_path) == ["a.png"]
    assert skipped(result, OTHERS, tmp_path) == {"notes.txt", "sub/read.xml", "raw.NEF"}


def test_a_damaged_file_that_is_called_a_picture_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    (item,) = found(tmp_path).items
    assert item.format is None


def test_a_file_that_is_named_is_taken_whatever_it_is(tmp_path: Path) -> None:
    made(tmp_path, "notes.txt", ".hidden.png")
    assert len(found(tmp_path / "notes.txt", tmp_path / ".hidden.png").items) == 2


def test_hidden_and_system_files_are_skipped_and_counted(tmp_path: Path) -> None:
    left_out = ["._a.png", ".DS_Store", "Thumbs.db", "@eaDir/a.png", ".thumbnails/a.png"]
    left_out += ["__MACOSX/._a.png", "sub/.git/a.png", "sub/desktop.ini"]
    made(tmp_path, "a.png", *left_out)
    result = found(tmp_path)
    assert names(result, tmp_path) == ["a.png"]
    tops = {"._a.png", ".DS_Store", "Thumbs.db", "@eaDir", ".thumbnails", "__MACOSX"}
    assert skipped(result, HIDDEN, tmp_path) == tops | {"sub/.git", "sub/desktop.ini"}


def test_a_hidden_folder_that_is_named_is_read(tmp_path: Path) -> None:
    made(tmp_path, ".cache/a.png")
    assert len(found(tmp_path / ".cache").items) == 1


def test_pictures_come_in_natural_order(tmp_path: Path) -> None:
    made(tmp_path, *(f"page{i}.png" for i in (10, 9, 2, 1)), "b/1.png", "Page3.png")
    assert names(found(tmp_path), tmp_path) == [
        *("b/1.png", "page1.png", "page2.png", "Page3.png", "page9.png", "page10.png")
    ]


def test_natural_order_takes_any_names() -> None:
    odd = ["", "1", "01", "²", "٣", "a1b", "a", "1a", "ß", "\udcff"]
    backwards = odd[::-1]
    assert sorted(odd, key=natural) == sorted(backwards, key=natural)


def test_links_are_followed_once_and_loops_are_refused(tmp_path: Path) -> None:
    made(tmp_path, "p/z/a.png", "elsewhere/b.png")
    (tmp_path / "p" / "a-link").symlink_to("z")
    (tmp_path / "p" / "z" / "loop").symlink_to("..")
    (tmp_path / "p" / "out-of-it").symlink_to("../elsewhere")
    (tmp_path / "p" / "z" / "again.png").symlink_to("a.png")
    result = found(tmp_path / "p")
    assert names(result, tmp_path / "p") == ["out-of-it/b.png", "z/a.png"]
    assert skipped(result, REPEATED, tmp_path / "p") == {"a-link", "z/loop", "z/again.png"}
    assert not result.failures


def test_a_link_to_a_picture_elsewhere_is_a_picture(tmp_path: Path) -> None:
    made(tmp_path, "elsewhere/b.png")
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "c.png").symlink_to("../elsewhere/b.png")
    assert names(found(tmp_path / "p"), tmp_path / "p") == ["c.png"]


@pytest.mark.parametrize("target", ["nothing", "self"])
def test_a_link_that_leads_nowhere_is_named(tmp_path: Path, target: str) -> None:
    made(tmp_path, "a.png")
    (tmp_path / "self").symlink_to(target)
    ((name, error),) = found(tmp_path).failures
    assert name.endswith("self")
    assert isinstance(error, OSError)


def test_hard_links_are_pictures_of_their_own(tmp_path: Path) -> None:
    made(tmp_path, "a.png")
    (tmp_path / "b.png").hardlink_to(tmp_path / "a.png")
    assert len(found(tmp_path).items) == 2


def test_each_file_is_read_once_however_often_it_is_named(tmp_path: Path) -> None:
    made(tmp_path, "p/sub/a.png")
    again = [tmp_path / "p", tmp_path / "p" / "sub", tmp_path / "p" / "sub" / "a.png"]
    for inputs in (again, again[::-1]):
        assert len(found(*inputs).items) == 1


def test_an_output_folder_within_the_input_is_not_read_again(tmp_path: Path) -> None:
    made(tmp_path, "p/a.png", "p/out/a.png", "p/out/sub/b.png")
    result = found(tmp_path / "p", excluded=(tmp_path / "p" / "out",))
    assert names(result, tmp_path) == ["p/a.png"]
    assert skipped(result, OUTPUT, tmp_path) == {"p/out"}
    assert len(found(tmp_path / "p", excluded=(tmp_path / "p",)).items) == 3
    assert len(found(tmp_path / "p", excluded=(tmp_path,)).items) == 3


def test_pipes_and_sockets_in_a_folder_are_not_waited_for(tmp_path: Path) -> None:
    made(tmp_path, "a.png")
    os.mkfifo(tmp_path / "fifo.png")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        result = found(tmp_path)
    assert names(result, tmp_path) == ["a.png"]
    assert skipped(result, OTHERS, tmp_path) == {"fifo.png", "socket"}


def test_a_pipe_that_is_named_is_read(tmp_path: Path) -> None:
    fifo = tmp_path / "page.png"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(JPEG * 1000,))
    writer.start()
    (item,) = found(fifo).items
    writer.join()
    assert item.source.read() == JPEG * 1000
    assert item.format
    assert item.format.name == "jpeg"
    assert item.place.name == "page.png"


def test_what_is_not_there_is_an_error_that_names_all_of_it(tmp_path: Path) -> None:
    made(tmp_path, "a.png")
    with pytest.raises(BadInput, match=r"no such file or folder: \S+x\.png, \S+y$"):
        found(tmp_path / "x.png", tmp_path / "a.png", tmp_path / "y")
    with pytest.raises(BadInput, match="named twice"):
        found("-", "-")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Permissions count in the block, also where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
        for path in Path(name).rglob("*"):
            path.chmod(0o755)


def test_an_unreadable_folder_and_an_unreadable_file_are_named(open_folder: Path) -> None:
    made(open_folder, "a.png", "closed/b.png", "c.png")
    (open_folder / "closed").chmod(0)
    (open_folder / "c.png").chmod(0)
    with as_nobody():
        result = found(open_folder)
    assert names(result, open_folder) == ["a.png"]
    problems = {os.path.basename(name): error for name, error in result.failures}
    assert problems.keys() == {"closed", "c.png"}
    assert all(isinstance(error, PermissionError) for error in problems.values())


def test_a_read_only_folder_is_read(open_folder: Path) -> None:
    made(open_folder, "p/a.png")
    (open_folder / "p").chmod(0o555)
    with as_nobody():
        assert len(found(open_folder / "p").items) == 1


def test_names_of_any_bytes_are_found(tmp_path: Path) -> None:
    odd = [b"\xff\xfe.png", "漢字 ä\n.png".encode(), b"-o.png", b"{x}.png", b"a'b\".png"]
    for name in odd:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_bytes(PNG)
    result = found(tmp_path)
    assert sorted(os.fsencode(name) for name in names(result, tmp_path)) == sorted(odd)


def test_ten_thousand_files_are_found_in_one_order(tmp_path: Path) -> None:
    for i in range(100):
        made(tmp_path, *(f"{i}/{j}.png" for j in range(100)))
    result = found(tmp_path)
    expected = [f"{i}/{j}.png" for i in range(100) for j in range(100)]
    assert names(result, tmp_path) == expected
