"""Comic archives are read and written as if they were folders."""

import io
import os
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from made_files import JPEG, PNG, TEXT, archive, entries, made
from sakuga import BadInput, TooLarge
from sakuga.files import Plan, PlanOptions, plan, plan_reading
from sakuga.files.found import OTHERS
from sakuga.files.sources import Source
from sakuga.files.targets import GivenUp
from sakuga_core.errors import SakugaError
from sakuga_core.formats import BY_NAME

RESULT = b"\x89PNG\r\n\x1a\nresult of "


PAGE = PNG * 5


def _good() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("1.png", "b/2.jpg", "ComicInfo.xml"):
            file.writestr(name, PAGE)
    return buffer.getvalue()


GOOD = _good()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(*inputs: str, output: str = "o", most: int = 2**20, **values: bool) -> Plan:
    options = PlanOptions(action="upscale", model="m", most=most, **values)  # type: ignore[arg-type]
    return plan(inputs, output, options)


def carried_out(made_plan: Plan, order: list[int] | None = None) -> list[str]:
    """Writes a result for each picture; gives their names."""
    tasks = made_plan.tasks
    written = []
    for i in order or range(len(tasks)):
        target, source = tasks[i].target, tasks[i].source
        assert target
        written.append(target.write(RESULT + source.name.encode(), None, None))
    made_plan.close()
    return written


def test_an_archive_gives_one_of_the_same_name_shape_and_order(here: Path) -> None:
    names = ["b/010.jpg", "b/002.png", "ComicInfo.xml", "a/001.jpg", "b/", "cover.webp"]
    archive(here / "p" / "ch1.cbz", *names)
    written = carried_out(planned("p"))
    assert written[0] == "o/ch1.cbz/b/010.png"
    book = entries(here / "o" / "ch1.cbz")
    expected = ["b/010.png", "b/002.png", "ComicInfo.xml", "a/001.png", "b/", "cover.png"]
    assert list(book) == expected
    assert book["b/002.png"] == RESULT + b"p/ch1.cbz/b/002.png"
    assert book["ComicInfo.xml"] == TEXT


def test_results_may_come_in_any_order(here: Path) -> None:
    archive(here / "a.cbz", *(f"{i}.png" for i in range(6)), "notes.txt")
    carried_out(planned("a.cbz"), [5, 0, 3, 1, 4, 2])
    book = entries(here / "o" / "a.cbz")
    assert list(book) == [*(f"{i}.png" for i in range(6)), "notes.txt"]
    assert all(book[f"{i}.png"].endswith(f"/{i}.png".encode()) for i in range(6))


def test_dates_permissions_compression_and_comments_are_kept(here: Path) -> None:
    with zipfile.ZipFile("a.zip", "w") as file:
        for name, kind in (("1.png", zipfile.ZIP_STORED), ("2.png", zipfile.ZIP_DEFLATED)):
            entry = zipfile.ZipInfo(name, (2001, 2, 3, 4, 5, 6))
            entry.external_attr, entry.compress_type = 0o640 << 16, kind
            file.writestr(entry, PNG)
        file.comment = b'{"ComicBookInfo/1.0": {}}'
    carried_out(planned("a.zip"))
    with zipfile.ZipFile("o/a.zip") as file:
        assert file.comment == b'{"ComicBookInfo/1.0": {}}'
        first, second = file.infolist()
    assert first.date_time == second.date_time == (2001, 2, 3, 4, 5, 6)
    assert first.external_attr == 0o640 << 16
    assert (first.compress_type, second.compress_type) == (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def test_an_archive_is_there_whole_or_not_at_all(here: Path) -> None:
    archive(here / "a.cbz", "1.png", "2.png", "3.png")
    made_plan = planned("a.cbz")
    first, second, third = (task.target for task in made_plan.tasks)
    assert first
    assert second
    assert third
    first.write(RESULT, None, None)
    second.write(RESULT, None, None)
    assert not (here / "o" / "a.cbz").exists()
    assert third.give_up() == "o/a.cbz"
    assert third.give_up() == ""  # it is said once
    assert first.is_given_up
    assert os.listdir("o") == []
    with pytest.raises(GivenUp):
        third.write(RESULT, None, None)


def test_an_interrupted_archive_leaves_nothing(here: Path) -> None:
    archive(here / "a.cbz", "1.png", "2.png")
    made_plan = planned("a.cbz")
    assert made_plan.tasks[0].target
    made_plan.tasks[0].target.write(RESULT, None, None)
    made_plan.close()
    assert os.listdir("o") == []


def test_an_archive_that_is_there_is_kept_or_replaced_whole(here: Path) -> None:
    archive(here / "a.cbz", "1.png")
    carried_out(planned("a.cbz"))
    before = (here / "o" / "a.cbz").read_bytes()
    with pytest.raises(BadInput, match=r"already exist: o/a\.cbz"):
        planned("a.cbz")
    assert planned("a.cbz", skip_existing=True).tasks == []
    archive(here / "a.cbz", "1.png", "2.png")
    carried_out(planned("a.cbz", overwrite=True))
    assert (here / "o" / "a.cbz").read_bytes() != before


def test_an_archive_in_the_place_of_a_folder_names_the_folder(here: Path) -> None:
    archive(here / "a.cbz", "1.png")
    (here / "o" / "a.cbz").mkdir(parents=True)
    with pytest.raises(IsADirectoryError) as error:
        carried_out(planned("a.cbz", overwrite=True))
    assert str(error.value) == "[Errno 21] Is a directory: 'o/a.cbz'"
    assert os.listdir("o") == ["a.cbz"]


def test_an_archive_as_output_takes_everything_as_a_folder_would(here: Path) -> None:
    archive(here / "ch1.cbz", "1.jpg", "ComicInfo.xml")
    made(here, "p/a.png", "p/sub/b.png", "s.jpg")
    carried_out(planned("ch1.cbz", "p", "s.jpg", output="all.zip"))
    assert list(entries(here / "all.zip")) == [
        *("ch1/1.png", "ch1/ComicInfo.xml", "a.png", "sub/b.png", "s.png")
    ]


def test_one_archive_or_folder_as_an_archive_keeps_its_own_shape(here: Path) -> None:
    archive(here / "ch1.cbz", "x/1.jpg", "ComicInfo.xml")
    made(here, "p/a.png", "p/sub/b.png")
    carried_out(planned("ch1.cbz", output="o/r.cbz"))
    carried_out(planned("p", output="o/p.cbz"))
    assert list(entries(here / "o" / "r.cbz")) == ["x/1.png", "ComicInfo.xml"]
    assert list(entries(here / "o" / "p.cbz")) == ["a.png", "sub/b.png"]


def test_an_archive_is_never_its_own_output(here: Path) -> None:
    archive(here / "a.cbz", "1.png")
    with pytest.raises(BadInput, match=r"would replace a\.cbz"):
        planned("a.cbz", output="a.cbz", overwrite=True)


def test_an_output_archive_in_the_input_folder_is_not_read_again(here: Path) -> None:
    made(here, "p/a.png")
    archive(here / "p" / "r.cbz", "a.png")
    assert len(planned("p", output="p/r.cbz", overwrite=True).tasks) == 1


def test_pages_of_one_stem_keep_their_suffixes(here: Path) -> None:
    archive(here / "a.cbz", "1.jpg", "1.png", "2.png")
    carried_out(planned("a.cbz"))
    assert list(entries(here / "o" / "a.cbz")) == ["1.jpg.png", "1.png.png", "2.png"]


def test_a_page_of_another_format_than_foreseen_gets_its_suffix(here: Path) -> None:
    archive(here / "a.cbz", "1.gif")
    (task,) = planned("a.cbz").tasks
    assert task.target
    task.target.write(b"GIF89a", BY_NAME["gif"], None)
    assert list(entries(here / "o" / "a.cbz")) == ["1.gif"]


def test_hidden_entries_are_left_out_and_counted(here: Path) -> None:
    archive(here / "a.cbz", "1.png", "__MACOSX/._1.png", "Thumbs.db", ".x/2.png")
    made_plan = planned("a.cbz")
    assert [len(names) for names in made_plan.found.skipped.values()] == [3]
    carried_out(made_plan)
    assert list(entries(here / "o" / "a.cbz")) == ["1.png"]


def test_pages_are_detected_without_being_written(here: Path) -> None:
    archive(here / "a.cbz", "1.png", "2.jpg")
    tasks = plan_reading(["a.cbz"], 2**20).tasks
    assert [task.source.name for task in tasks] == ["a.cbz/1.png", "a.cbz/2.jpg"]
    assert [task.source.read() for task in tasks] == [PNG, JPEG]


OUTSIDE = ["../x.png", "a/../../x.png", "/x.png", "C:/x.png", "c:x.png", "..\\x.png", "\\x.png"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_an_entry_that_leads_out_of_an_archive_is_refused(here: Path, name: str) -> None:
    archive(here / "p" / "bad.cbz", "1.png", name)
    made(here, "p/good.png")
    made_plan = planned("p")
    assert [task.source.name for task in made_plan.tasks] == ["p/good.png"]
    ((file, error),) = made_plan.found.failures
    assert file == "p/bad.cbz"
    assert "leads out of it" in str(error)


def test_names_that_only_look_like_it_are_taken(here: Path) -> None:
    names = ["a..b/2.png", "sub\\3.png", "漢字/ä.png", "c..png"]
    archive(here / "a.cbz", *names)
    carried_out(planned("a.cbz"))
    assert list(entries(here / "o" / "a.cbz")) == names


def failure(file: str, most: int = 2**20) -> SakugaError | OSError:
    ((_, error),) = planned(file, most=most).found.failures
    return error


def test_symbolic_links_in_archives_are_refused(here: Path) -> None:
    with zipfile.ZipFile("a.cbz", "w") as file:
        entry = zipfile.ZipInfo("1.png")
        entry.external_attr = 0o120777 << 16
        file.writestr(entry, "/etc/passwd")
    assert "symbolic link, 1.png" in str(failure("a.cbz"))


def test_encrypted_entries_are_named(here: Path) -> None:
    data = bytearray(archive(here / "a.cbz", "1.png", "2.png").read_bytes())
    place = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[place + 8] |= 1
    (here / "a.cbz").write_bytes(data)
    error = failure("a.cbz")
    assert isinstance(error, BadInput)
    assert "encrypted entry, 2.png; allowed: without a password" in str(error)


def test_what_unpacks_to_far_more_than_its_size_is_refused(here: Path) -> None:
    data = bytearray(archive(here / "a.cbz", "1.png", "zeros.bin").read_bytes())
    place = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    struct.pack_into("<I", data, place + 24, 3 * 2**30)
    (here / "a.cbz").write_bytes(data)
    error = failure("a.cbz", most=2**40)
    assert isinstance(error, TooLarge)
    assert "unpacks to 322" in str(error)
    assert str(error).endswith("times its size; allowed: 1073741824 bytes, or 100 times its size")


def test_a_page_over_the_limit_is_refused_before_it_is_unpacked(here: Path) -> None:
    archive(here / "a.cbz", "1.png", big=bytes(3000))
    error = failure("a.cbz", most=2000)
    assert isinstance(error, TooLarge)
    assert "an entry of 3000 bytes, big; allowed: limits.input_bytes, 2000" in str(error)


def test_two_entries_of_one_name_are_refused(here: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        archive(here / "a.cbz", "1.png", "1.png")
    assert "two entries of one name, 1.png" in str(failure("a.cbz"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "is damaged"), (b"Rar!\x1a\x07\0", "is damaged"), (TEXT, "is damaged")],
)
def test_what_is_no_archive_is_named(here: Path, content: bytes, sentence: str) -> None:
    (here / "a.cbz").write_bytes(content)
    assert sentence in str(failure("a.cbz"))


def test_an_archive_without_pictures_is_an_error_only_where_it_is_named(here: Path) -> None:
    archive(here / "p" / "a.zip", "notes.txt")
    made(here, "p/a.png")
    assert "has no picture" in str(failure("p/a.zip"))
    made_plan = planned("p")
    assert made_plan.found.failures == []
    assert made_plan.found.skipped == {OTHERS: ["p/a.zip"]}


def test_a_damaged_page_is_named_and_its_archive_is_not_written(here: Path) -> None:
    page = PNG + bytes(9000)
    data = bytearray(archive(here / "a.cbz", **{"1.png": page, "2.png": page}).read_bytes())
    data[data.index(PNG) + 8000] ^= 1
    (here / "a.cbz").write_bytes(data)
    task, other = planned("a.cbz").tasks
    assert other.source.read() == page
    assert task.source.name == "a.cbz/1.png"
    with pytest.raises(BadInput, match="the entry is damaged: Bad CRC-32"):
        task.source.read()


def test_an_archive_whose_other_entries_are_damaged_leaves_nothing(here: Path) -> None:
    data = bytearray(archive(here / "a.cbz", "1.png", notes=TEXT * 99).read_bytes())
    data[data.index(TEXT * 99) + 6000] ^= 1
    (here / "a.cbz").write_bytes(data)
    (task,) = planned("a.cbz").tasks
    assert task.target
    with pytest.raises(BadInput, match="entry notes is damaged"):
        task.target.write(RESULT, None, None)
    assert task.target.give_up() == "o/a.cbz"
    assert os.listdir("o") == []


def page_of(source: Source) -> bytes | None:
    """What is read; None after an error of ours or the system's."""
    try:
        return source.read()
    except (SakugaError, OSError):
        return None


@given(st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_archive_gives_whole_pages_or_typed_errors(choice: st.DataObject) -> None:
    data = bytearray(GOOD)
    for _ in range(choice.draw(st.integers(1, 4))):
        data[choice.draw(st.integers(0, len(data) - 1))] = choice.draw(st.integers(0, 255))
    length = choice.draw(st.integers(0, len(data)) | st.just(len(data)))
    Path("a.cbz").write_bytes(data[:length])
    made_plan = plan_reading(["a.cbz"], 2**20)
    assert made_plan.tasks or made_plan.found.failures
    assert {page_of(task.source) for task in made_plan.tasks} <= {PAGE, None}


def test_an_entry_beyond_the_end_of_the_file_is_an_error(here: Path) -> None:
    data = bytearray(archive(here / "a.cbz", "1.png").read_bytes())
    place = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, place + 42, 2**31)
    (here / "a.cbz").write_bytes(data)
    assert isinstance(failure("a.cbz"), BadInput | OSError)
