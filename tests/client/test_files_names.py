"""What results are called: planned without a server."""

import os
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_files import archive, made
from plans import planned, targets
from sakuga import BadInput
from sakuga.files.naming import stems


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_alone_keeps_its_shape(here: Path) -> None:
    made(here, "p/a.png", "p/sub/b.webp")
    assert targets("p", output="o") == {"p/a.png": "o/a.png", "p/sub/b.webp": "o/sub/b.png"}


def test_without_an_output_results_go_to_out(here: Path) -> None:
    made(here, "p/a.png")
    assert targets("p") == {"p/a.png": "out/a.png"}


def test_files_and_a_folder_together_are_all_done(here: Path) -> None:
    made(here, "p/a.png", "s.png")
    assert targets("s.png", "p", output=".") == {"s.png": "s.png.png", "p/a.png": "a.png"}


def test_several_folders_keep_their_names(here: Path) -> None:
    made(here, "v1/001.png", "v2/001.png", "v2/002.png")
    found = targets("v1", "v2/", output="o")
    assert list(found.values()) == ["o/v1/001.png", "o/v2/001.png", "o/v2/002.png"]


def test_folders_of_one_name_keep_as_much_of_their_paths_as_tells_them_apart(here: Path) -> None:
    made(here, "x/v/1.png", "y/v/1.png")
    found = targets("x/v", "y/v", output="o")
    assert list(found.values()) == ["o/x/v/1.png", "o/y/v/1.png"]


def test_files_of_one_name_get_their_folders_name(here: Path) -> None:
    made(here, "v1/001.png", "v2/001.png", "v2/other.png")
    found = targets("v1/001.png", "v2/001.png", "v2/other.png", output="o")
    assert list(found.values()) == ["o/v1/001.png", "o/v2/001.png", "o/other.png"]


def test_pictures_of_one_stem_keep_their_suffixes_and_the_others_do_not(here: Path) -> None:
    made(here, "p/a.jpg", "p/a.png", "p/b.png")
    found = targets("p", output="o")
    assert found == {"p/a.jpg": "o/a.jpg.png", "p/a.png": "o/a.png.png", "p/b.png": "o/b.png"}


def test_a_name_that_suffixes_would_take_is_avoided_too(here: Path) -> None:
    made(here, "p/a.jpg", "p/a.png", "p/a.jpg.webp")
    assert len(set(targets("p", output="o").values())) == 3


def test_two_that_still_have_one_name_are_an_error_before_work(here: Path) -> None:
    made(here, "p/a.png", "a.png")
    with pytest.raises(BadInput, match=r"both become a\.png\.png; name the folders"):
        planned("a.png", "p", output="o")


names = st.text("ab.", min_size=1, max_size=3).filter(lambda name: name.strip("."))
pictures = st.tuples(names, st.sampled_from([".png", ".jpg", ".webp", ""]))


@given(st.sets(pictures, min_size=1, max_size=12), st.sampled_from([(".png",), (".png", ".gif")]))
def test_no_two_pictures_of_a_folder_ever_share_a_name(
    chosen: set[tuple[str, str]], suffixes: tuple[str, ...]
) -> None:
    files = sorted({name + suffix for name, suffix in chosen})
    found = stems([(PurePosixPath(file), suffixes) for file in files])
    assert len(set(found)) == len(files)


@pytest.mark.parametrize("name", ["p.01.png", "ch1.5.png", "p.01", "ch1.5"])
def test_names_with_dots_keep_them(here: Path, name: str) -> None:
    made(here, f"d/{name}")
    assert list(targets("d", output="o").values()) == [f"o/{name.removesuffix('.png')}.png"]


@pytest.mark.parametrize("output", [".", "p", "p/", "../{}/p"])
def test_results_among_the_pictures_never_replace_one(here: Path, output: str) -> None:
    made(here, "p/a.png", "p/a.jpg", "p/b.jpg")
    found = targets("p", output=output.replace("{}", here.name))
    assert not {os.path.realpath(path) for path in found.values()} & {
        os.path.realpath(path) for path in found
    }
    assert len(set(found.values())) == 3


def test_a_picture_beside_one_that_is_not_read_does_not_replace_it(here: Path) -> None:
    made(here, "q/a.png", "q/a.jpg")
    assert targets("q/a.jpg", output="q") == {"q/a.jpg": "q/a.jpg.png"}


def test_a_rerun_among_the_pictures_finds_its_own_results(here: Path) -> None:
    made(here, "p/a.png", "p/b.jpg")
    first = targets("p", output="p")
    made(here, *first.values())
    again = planned("p", output="p", skip_existing=True)
    assert again.tasks == []
    assert sorted(again.existing) == sorted(first.values())


def test_a_rerun_of_a_pattern_among_the_pictures_finds_its_own_results(here: Path) -> None:
    made(here, "p/a.png", "p/b.jpg")
    pattern, sizes = "p/{stem}-{scale}x.{ext}", {"scale": 2}
    first = targets("p", output=pattern, sizes=sizes)
    assert first == {"p/a.png": "p/a-2x.png", "p/b.jpg": "p/b-2x.png"}
    made(here, *first.values())
    assert planned("p", output=pattern, sizes=sizes, skip_existing=True).tasks == []
    with pytest.raises(BadInput, match=r"a-2x\.png is among the pictures"):
        planned("p", output=pattern, sizes=sizes, overwrite=True)


@pytest.mark.parametrize("link", ["hard", "symbolic", "itself"])
@pytest.mark.parametrize("flag", ["overwrite", "skip_existing", ""])
def test_an_original_is_never_replaced_also_through_a_link(
    here: Path, link: str, flag: str
) -> None:
    made(here, "a.png")
    if link == "hard":
        (here / "r.png").hardlink_to("a.png")
    elif link == "symbolic":
        (here / "r.png").symlink_to("a.png")
    output = "a.png" if link == "itself" else "r.png"
    with pytest.raises(BadInput, match=r"replace a\.png|link to a\.png"):
        planned("a.png", output=output, **({flag: True} if flag else {}))


def test_an_output_folder_that_is_a_link_to_the_input_is_known(here: Path) -> None:
    made(here, "p/a.png")
    (here / "o").symlink_to("p")
    assert targets("p", output="o") == {"p/a.png": "o/a.png.png"}


def test_an_input_named_as_the_result_of_another_is_an_error(here: Path) -> None:
    made(here, "a.png", "a-2.png")
    with pytest.raises(BadInput, match=r"result of a\.png would replace a-2\.png"):
        planned("a.png", "a-2.png", output="{stem}-2.png", overwrite=True)


def test_existing_results_are_counted_and_named_before_work(here: Path) -> None:
    made(here, *(f"p/{i}.png" for i in range(9)), *(f"o/{i}.png" for i in range(5)))
    with pytest.raises(BadInput) as error:
        planned("p", output="o")
    assert "o/0.png, o/1.png, o/2.png and 2 more; --skip-existing" in str(error.value)
    left = planned("p", output="o", skip_existing=True)
    assert [task.source.name for task in left.tasks] == [f"p/{i}.png" for i in range(5, 9)]
    assert len(left.existing) == 5
    assert len(planned("p", output="o", overwrite=True).tasks) == 9


def test_a_broken_link_is_something_that_is_there(here: Path) -> None:
    made(here, "a.png", "o/x.png")
    (here / "o" / "a.png").symlink_to("nothing")
    with pytest.raises(BadInput, match=r"already exist: o/a\.png"):
        planned("a.png", output="o")


def test_an_animation_counts_as_done_in_either_format(here: Path) -> None:
    made(here, "p/a.gif")
    (task,) = planned("p", output="o").tasks
    assert task.target.paths == ("o/a.png", "o/a.gif")  # type: ignore[union-attr]
    made(here, "o/a.gif")
    assert planned("p", output="o", skip_existing=True).tasks == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("o/{stem}-{scale}x.{ext}", "o/a-2x.png"),
        ("o/{parent}/{name}.webp", "o/p/a.png.webp"),
        ("o/{action}-{model}/{index:03}.{ext}", "o/upscale-my-network/001.png"),
        ("{stem}", "a.png"),
        ("./o//{stem}", "o/a.png"),
        ("o/{{x}}/{stem}.{ext}", "o/{x}/a.png"),
        ("o/{parent}/", "o/p/a.png"),
        ("o/{stem}.5", "o/a.5.png"),
    ],
)
def test_patterns_name_results(here: Path, pattern: str, expected: str) -> None:
    made(here, "p/a.png")
    assert list(targets("p", output=pattern, sizes={"scale": 2}).values()) == [expected]


def test_a_pattern_that_gives_one_name_twice_is_an_error(here: Path) -> None:
    made(here, "p/a.png", "p/a.jpg")
    with pytest.raises(BadInput, match=r"both o/a\.png; add \{name\}, \{parent\} or \{index\}"):
        planned("p", output="o/{stem}.{ext}")


def test_a_size_that_only_the_result_tells_can_not_be_looked_for(here: Path) -> None:
    made(here, "a.png")
    pattern = "o/{stem}-{width}.{ext}"
    with pytest.raises(BadInput) as error:
        planned("a.png", output=pattern, skip_existing=True, sizes={"scale": 2})
    assert "{width}, which is known only when a picture is done" in str(error.value)
    assert "allowed: stem, name, ext, parent, index, action, model, scale" in str(error.value)
    sizes = {"width": 900}
    assert targets("a.png", output=pattern, skip_existing=True, sizes=sizes) == {
        "a.png": "o/a-900.png"
    }


def test_a_size_that_only_the_result_tells_is_in_its_name(here: Path) -> None:
    made(here, "a.png")
    (task,) = planned("a.png", output="o/{stem}-{scale}x-{width}.{ext}").tasks
    assert task.target
    assert task.target.write(b"1", None, {"scale": 2, "width": 40, "height": 30}) == "o/a-2x-40.png"
    with pytest.raises(FileExistsError):
        task.target.write(b"2", None, {"scale": 2, "width": 40, "height": 30})
    assert (here / "o" / "a-2x-40.png").read_bytes() == b"1"


@pytest.mark.parametrize("name", ["ä" * 125, "x" * 251, "漢" * 83])
def test_names_as_long_as_a_file_system_allows_are_kept(here: Path, name: str) -> None:
    made(here, f"p/{name}.png")
    (task,) = planned("p", output="o").tasks
    assert task.target
    assert task.target.write(b"1", None, None) == f"o/{name}.png"
    assert os.listdir("o") == [f"{name}.png"]


def test_a_name_that_would_be_too_long_is_an_error_before_work(here: Path) -> None:
    made(here, f"p/{'x' * 251}.png", f"p/{'x' * 251}.jpg")
    with pytest.raises(BadInput, match=r"has 259 bytes; allowed: 255; give -o a pattern"):
        planned("p", output="o")
    assert len(planned("p", output="o/{index}.{ext}").tasks) == 2


def test_an_archive_and_a_folder_of_one_name_do_not_meet(here: Path) -> None:
    archive(here / "p" / "ch.cbz", "1.png")
    made(here, "p/ch/2.png")
    first, second = planned("p", output="o").tasks
    assert first.target != second.target


@pytest.mark.parametrize("folder", ["{x}", "a{", "}{"])
def test_braces_of_folders_and_files_are_no_fields(here: Path, folder: str) -> None:
    made(here, f"p/{folder}/{{y}}.png")
    (here / folder).mkdir()
    assert list(targets("p", output=folder).values()) == [f"{folder}/{folder}/{{y}}.png"]


def test_an_original_behind_a_link_is_named_as_the_output_names_it(here: Path) -> None:
    made(here, "v2/p.png")
    (here / "soft.png").symlink_to("v2/p.png")
    with pytest.raises(
        BadInput, match=r"the result of soft\.png would replace v2/p\.png, which is"
    ):
        planned("soft.png", output="v2/p.png", overwrite=True)


@pytest.mark.parametrize("names", [["-", "/dev/stdin"], ["/dev/stdin", "/dev/fd/0"]])
def test_standard_input_is_known_by_each_of_its_names(here: Path, names: list[str]) -> None:
    with pytest.raises(BadInput, match="named twice"):
        planned(*names)
