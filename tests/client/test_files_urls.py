"""Inputs and outputs at addresses, by fsspec's file system in memory."""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from made_files import GIF, JPEG, PNG, TEXT, archive, made
from sakuga import BadInput
from sakuga.files import Plan, PlanOptions, plan, urls
from sakuga.files.found import HIDDEN, OTHERS


@pytest.fixture
def memory() -> Iterator[Any]:
    """An empty file system in memory."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(*inputs: str, output: str | None = None, **values: Any) -> Plan:
    return plan(inputs, output, PlanOptions(action="upscale", model="m", most=2**20, **values))


def carried_out(made_plan: Plan) -> list[str]:
    written = []
    for task in made_plan.tasks:
        assert task.target
        written.append(task.target.write(b"of " + task.source.read(), None, None))
    made_plan.close()
    return written


def test_a_folder_at_an_address_is_read_and_written_like_any_other(memory: Any) -> None:
    for name, content in {
        "b/page10.png": PNG,
        "b/page2": JPEG,
        "b/sub/x.gif": GIF,
        "b/notes.txt": TEXT,
        "b/.hidden.png": PNG,
        "b/@eaDir/x.png": PNG,
    }.items():
        memory.pipe_file(f"/{name}", content)
    made_plan = planned("memory://b", output="memory://o/r")
    assert [task.source.name for task in made_plan.tasks] == [
        *("memory:///b/page2", "memory:///b/page10.png", "memory:///b/sub/x.gif")
    ]
    assert made_plan.found.skipped == {
        HIDDEN: ["memory:///b/.hidden.png", "memory:///b/@eaDir/x.png"],
        OTHERS: ["memory:///b/notes.txt"],
    }
    names = ["/o/r/page10.png", "/o/r/page2.png", "/o/r/sub/x.png"]
    assert sorted(carried_out(made_plan)) == [f"memory://{name}" for name in names]
    assert memory.find("/o") == names
    assert memory.cat_file("/o/r/page2.png") == b"of " + JPEG


def test_from_an_address_to_this_machine_and_back(memory: Any, here: Path) -> None:
    memory.pipe_file("/b/a.png", PNG)
    carried_out(planned("memory://b/a.png", output="o"))
    assert (here / "o" / "a.png").read_bytes() == b"of " + PNG
    carried_out(planned("o/a.png", output="memory://c/{stem}-{index}.webp"))
    assert memory.cat_file("/c/a-1.webp") == b"of of " + PNG


def test_results_that_are_there_are_found_at_an_address(memory: Any) -> None:
    for name in ("b/1.png", "b/2.png", "o/1.png"):
        memory.pipe_file(f"/{name}", PNG)
    with pytest.raises(BadInput, match=r"already exist: memory:///o/1\.png"):
        planned("memory://b", output="memory://o")
    (task,) = planned("memory://b", output="memory://o", skip_existing=True).tasks
    assert task.source.name == "memory:///b/2.png"


def test_originals_at_an_address_are_never_replaced(memory: Any) -> None:
    memory.pipe_file("/b/a.png", PNG)
    memory.pipe_file("/b/a.jpg", JPEG)
    assert sorted(carried_out(planned("memory://b", output="memory://b"))) == [
        *("memory:///b/a.jpg.png", "memory:///b/a.png.png")
    ]
    with pytest.raises(BadInput, match="would replace"):
        planned("memory://b/a.png", output="memory://b/a.png", overwrite=True)


def test_an_output_folder_within_the_input_is_not_read_again(memory: Any) -> None:
    for name in ("b/1.png", "b/out/1.png"):
        memory.pipe_file(f"/{name}", PNG)
    assert len(planned("memory://b", output="memory://b/out", overwrite=True).tasks) == 1


def test_each_file_at_an_address_is_read_once(memory: Any) -> None:
    memory.pipe_file("/b/sub/1.png", PNG)
    inputs = ["memory://b", "memory://b/sub/1.png", "memory://b/sub"]
    assert len(planned(*inputs, output="memory://o").tasks) == 1
    assert len(planned(*inputs[::-1], output="memory://o").tasks) == 1


def test_archives_at_addresses(memory: Any, here: Path) -> None:
    book = archive(here / "x.cbz", "2.jpg", "1.png", "ComicInfo.xml").read_bytes()
    memory.pipe_file("/b/x.cbz", book)
    carried_out(planned("memory://b", output="memory://o"))
    with memory.open("/o/x.cbz") as file, zipfile.ZipFile(file) as found:
        assert found.namelist() == ["2.png", "1.png", "ComicInfo.xml"]
        assert found.read("2.png") == b"of " + JPEG


def test_addresses_of_files_are_paths(here: Path) -> None:
    made(here, "p q/a.png")
    address = f"file://{here}/p%20q"
    written = carried_out(planned(address, output=f"file://{here}/o"))
    assert written == [f"{here}/o/a.png"]
    assert (here / "o" / "a.png").read_bytes() == b"of " + PNG
    with pytest.raises(BadInput, match="replace"):
        planned(f"{address}/a.png", output=f"file://{here}/p%20q/a.png")


def test_a_missing_file_is_an_error(memory: Any) -> None:
    with pytest.raises(OSError, match="no such file or folder"):
        planned("memory://nothing/a.png")


def test_without_fsspec_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(BadInput, match=r"pip install 'sakuga\[urls\]'"):
        planned("memory://b/a.png")


def test_unknown_protocols_and_missing_parts_of_fsspec_are_errors() -> None:
    with pytest.raises(BadInput, match="Protocol not known: nonsense"):
        planned("nonsense://b/a.png")
    try:
        import s3fs  # noqa: F401
    except ImportError:
        with pytest.raises(BadInput, match="Install s3fs"):
            planned("s3://b/a.png")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://user:secret@host/a/p%20q.png?sig=secret", "p q.png"),
        ("https://host/a/", "a"),
    ],
)
def test_names_come_from_the_path_alone_and_messages_have_no_secret(url: str, name: str) -> None:
    file = urls.RemoteFile(fsspec.filesystem("memory"), url)
    assert Path(urls.plain_path(file)).name == name
    assert "secret" not in urls.shown(url)


@pytest.mark.parametrize("text", ["a.png", "C:/a.png", "a:b", "-", "://x", "file:///a", "./s3://x"])
def test_other_texts_are_no_addresses(text: str) -> None:
    assert not urls.is_url(text)
