"""Where results go, and in which format: planned without a server."""

import os
from pathlib import Path

import pytest

from made_files import GIF, made
from plans import planned, targets
from sakuga import BadInput
from sakuga.files.naming import Template
from sakuga_core.formats import BY_NAME


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("output", "kind"),
    [("x.webp", "webp"), ("x.JPG", "jpeg"), ("x.avif", "avif"), ("o/x.qoi", "qoi")],
)
def test_an_output_files_suffix_names_the_format(here: Path, output: str, kind: str) -> None:
    made(here, "a.png")
    found = planned("a.png", output=output)
    assert found.format == kind
    assert found.tasks[0].target.paths == (output,)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("r.xyz", r"ends in \.xyz; allowed: \.png, \.jpg"),
        ("r.psd", r"ends in \.psd; allowed"),
        ("{stem}.xyz", r"ends in \.xyz"),
        ("o/{who}.png", r"field \{who\}; allowed: stem, name, ext, parent, index"),
        ("o/{stem.real}.png", r"field \{stem\.real\}; allowed"),
        ("o/{stem[0]}.png", r"field \{stem\[0\]\}; allowed"),
        ("o/{}.png", r"field \{\}; allowed"),
        ("o/{stem", "a closing brace, }, is missing"),
        ("o/{stem!", "a closing brace, }, is missing"),
        ("o/{stem}}", "an opening brace, {, is missing"),
        ("o/{stem!rr}", "expected ':'"),
        ("o/{stem:04d}.png", "Unknown format code"),
        ("o/{stem:{index}}.png", "a field within a field"),
    ],
)
def test_an_output_that_means_nothing_is_an_error(here: Path, output: str, sentence: str) -> None:
    made(here, "a.png")
    with pytest.raises(BadInput, match=sentence):
        planned("a.png", output=output)


def test_a_dotted_number_is_a_folders_name_and_a_slash_makes_any(here: Path) -> None:
    made(here, "a.png")
    assert targets("a.png", output="ch1.5") == {"a.png": "ch1.5/a.png"}
    assert targets("a.png", output="r.xyz/") == {"a.png": "r.xyz/a.png"}
    (here / "r.png").mkdir()
    assert targets("a.png", output="r.png") == {"a.png": "r.png/a.png"}


@pytest.mark.parametrize("inputs", [["a.png", "b.png"], ["p"], ["p", "a.png"]])
def test_several_pictures_do_not_fit_into_one_file(here: Path, inputs: list[str]) -> None:
    made(here, "a.png", "b.png", "p/c.png")
    with pytest.raises(BadInput, match=r"-o r\.png is one file, for several pictures"):
        planned(*inputs, output="r.png")
    with pytest.raises(BadInput, match="standard output, which takes one picture"):
        planned("a.png", "b.png", output="-")


def test_name_and_flag_must_agree_on_the_format(here: Path) -> None:
    made(here, "a.png")
    with pytest.raises(BadInput, match=r"-o r\.png means PNG, --format jpeg another"):
        planned("a.png", output="r.png", format="jpeg", format_flag="jpeg")
    assert planned("a.png", output="r.png", format="png", format_flag="png").format == "png"
    assert planned("a.png", output="r.png", format="auto", format_flag="auto").format == "png"
    assert planned("a.png", output="r.png", format="jpeg").format == "png"  # config.yaml's


@pytest.mark.parametrize(
    ("wish", "expected"),
    [(None, ".png"), ("auto", ".jpg"), ("webp", ".webp"), ("avif", ".avif"), ("tiff", ".tif")],
)
def test_the_format_names_the_suffix(here: Path, wish: str | None, expected: str) -> None:
    made(here, "p/a.jpg")
    assert targets("p", output="o", format=wish) == {"p/a.jpg": f"o/a{expected}"}


def test_the_format_goes_by_the_content_and_not_by_the_name(here: Path) -> None:
    made(here, "p/x")
    (here / "p" / "y.jpg").write_bytes(GIF)
    assert targets("p", output="o", format="auto") == {"p/x": "o/x.png", "p/y.jpg": "o/y.gif"}


def test_a_format_without_transparency_is_not_kept_where_a_background_is_removed(
    here: Path,
) -> None:
    made(here, "p/a.jpg")
    assert targets("p", output="o", format="auto", adds_alpha=True) == {"p/a.jpg": "o/a.png"}


def test_a_result_of_another_format_than_foreseen_gets_its_own_suffix(here: Path) -> None:
    made(here, "p/a.png", "p/b.webp", "o/b.webp")
    first, second = planned("p", output="o", overwrite=True).tasks
    assert first.target
    assert first.target.write(b"1", BY_NAME["webp"], None) == "o/a.webp"
    assert second.target
    assert second.target.write(b"1", BY_NAME["jpeg"], None) == "o/b.jpg"


def test_a_result_of_another_format_than_foreseen_never_replaces_an_original(here: Path) -> None:
    made(here, "p/a.png", "p/a_2.jpg")
    first, _ = planned("p", output="p/{stem}_2.png", overwrite=True).tasks
    assert first.source.name == "p/a.png"
    assert first.target
    with pytest.raises(FileExistsError):
        first.target.write(b"1", BY_NAME["jpeg"], None)


def test_an_existing_file_is_no_output_folder(here: Path) -> None:
    made(here, "a.png", "b.png", "o")
    for output in ("o", "o/sub/", "o/sub/r.png"):
        with pytest.raises(BadInput, match="o is a file, so results can't be written below it"):
            planned("a.png", output=output)


def test_a_folder_that_can_not_be_written_is_found_before_work(here: Path) -> None:
    made(here, "a.png")
    with pytest.raises(BadInput, match="results can't be written to /proc"):
        planned("a.png", output="/proc/results/")


def test_an_empty_output_or_an_empty_field_never_means_the_root(here: Path) -> None:
    made(here, "a.png")
    with pytest.raises(BadInput, match="-o is empty"):
        planned("a.png", output="")
    template = Template("{parent}/{stem}.{ext}", {"parent": "", "stem": "a"})
    assert template.path(".png") == "a.png"


def test_an_output_through_a_link_and_back_is_where_the_system_says(here: Path) -> None:
    made(here, "a.png", "elsewhere/sub/x.txt")
    (here / "link").symlink_to("elsewhere/sub")
    (task,) = planned("a.png", output="link/../").tasks
    assert task.target
    task.target.write(b"1", None, None)
    assert (here / "elsewhere" / "a.png").read_bytes() == b"1"


@pytest.mark.parametrize("output", ["/dev/null", "file:///dev/null", "pipe.png", "link"])
def test_devices_and_pipes_are_no_outputs_and_stay(here: Path, output: str) -> None:
    made(here, "a.png")
    os.mkfifo("pipe.png")
    (here / "link").symlink_to("/dev/zero")
    path = output.removeprefix("file://")
    with pytest.raises(BadInput, match=f"is a device or a pipe; to write to it, use -o - > {path}"):
        planned("a.png", output=output, overwrite=True)
