import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sakuga import BadInput, BadOption, Reply


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_pixels_are_an_array_that_shares_the_results_memory(dtype: str) -> None:
    expected = np.arange(24, dtype=dtype).reshape(1, 2, 3, 4) * 10
    result = expected.astype(np.dtype(dtype).newbyteorder("<")).tobytes()
    found = Reply(result, {"output": {"shape": [1, 2, 3, 4], "dtype": dtype}}).pixels
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)
    assert np.shares_memory(found, np.frombuffer(result, np.uint8))


@pytest.mark.parametrize("report", [{"output": {"format": "png"}}, {"action": "upscale"}])
def test_an_encoded_file_has_no_pixels_yet(report: dict[str, object]) -> None:
    with pytest.raises(BadOption, match="format: raw"):
        _ = Reply(b"\x89PNG", report).pixels


def file_of(format: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (3, 2), (9, 8, 7)).save(file, format)
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "name"), [("PNG", "a.png"), ("JPEG", "a.JPG"), ("WEBP", "a.webp"), ("PNG", "a.out")]
)
def test_a_result_is_saved_whole_where_it_is_told_to(
    tmp_path: Path, format: str, name: str
) -> None:
    reply = Reply(file_of(format), {})
    assert reply.save(str(tmp_path / "new" / name)) == tmp_path / "new" / name
    assert (tmp_path / "new" / name).read_bytes() == reply.result
    assert [each.name for each in (tmp_path / "new").iterdir()] == [name]


def test_a_name_of_another_format_is_refused_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"a\.jpg would hold PNG data; allowed: \.png, \.apng"):
        Reply(file_of("PNG"), {}).save(tmp_path / "a.jpg")
    with pytest.raises(BadOption, match="format: raw"):
        Reply(b"abc", {"output": {"shape": [1, 1, 1, 3], "dtype": "uint8"}}).save(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_a_place_that_can_not_be_written_is_named_itself(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as error:
        Reply(file_of("PNG"), {}).save(tmp_path)
    assert str(error.value) == f"[Errno 21] Is a directory: '{tmp_path}'"
    assert error.value.__suppress_context__
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=f"'{tmp_path}/file'"):
        Reply(file_of("PNG"), {}).save(tmp_path / "file" / "a.png")


@pytest.mark.parametrize(
    ("format", "shown"),
    [("PNG", "png"), ("JPEG", "jpeg"), ("WEBP", "html"), ("GIF", "html"), ("AVIF", "html")],
)
def test_notebooks_show_each_format_in_one_way(format: str, shown: str) -> None:
    reply = Reply(file_of(format), {})
    found = {kind: getattr(reply, f"_repr_{kind}_")() for kind in ("png", "jpeg", "html")}
    assert [kind for kind, value in found.items() if value is not None] == [shown]
    if shown == "html":
        data = re.fullmatch(r'<img src="data:image/\w+;base64,(.+)">', found["html"])[1]
        assert base64.b64decode(data) == reply.result
    else:
        assert found[shown] == reply.result


def test_pixels_are_shown_in_no_way() -> None:
    reply = Reply(b"\x89PNG\r\n\x1a\n", {"output": {"shape": [1, 1, 2, 4], "dtype": "uint8"}})
    assert (reply._repr_png_(), reply._repr_jpeg_(), reply._repr_html_()) == (None, None, None)
