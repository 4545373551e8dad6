from pathlib import Path

import pytest

from sakuga import BadInput
from sakuga.files import find


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "a.jpg", "sub/b.webp", "notes.txt", "out/old.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_folders_keep_their_shape_and_only_pictures_count(folder: Path) -> None:
    jobs = find([folder / "sub"], folder / "out", {})
    assert [job.target for job in jobs] == [folder / "out" / "b.png"]


def test_earlier_results_are_no_input(folder: Path) -> None:
    sources = {job.source.name for job in find([folder], folder / "out", {})}
    assert sources == {"a.png", "a.jpg", "b.webp"}


def test_two_pictures_never_share_a_result(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "a.png").touch()
    pictures = [folder, folder / "other" / "a.png", folder / "a.jpg"]
    jobs = find(pictures, folder / "out", {})
    assert len({job.source for job in jobs}) == len(jobs) == 4
    assert len({job.target for job in jobs}) == 4


def test_a_result_never_replaces_a_picture(folder: Path) -> None:
    jobs = find([folder], folder, {})
    assert not {job.target for job in jobs} & {job.source for job in jobs}
    with pytest.raises(BadInput, match="itself"):
        find([folder / "a.png"], folder / "a.png", {})


@pytest.mark.parametrize(
    ("output", "kind"), [("x.webp", "webp"), ("x.JPG", "jpeg"), ("x.png", "png")]
)
def test_an_output_files_suffix_names_the_format(folder: Path, output: str, kind: str) -> None:
    (job,) = find([folder / "a.png"], folder / output, {})
    assert job.target == folder / output
    assert job.options == {"format": kind}


def test_the_format_names_the_suffix(folder: Path) -> None:
    (job,) = find([folder / "a.png"], folder / "out", {"format": "jpeg"})
    assert job.target == folder / "out" / "a.jpg"
