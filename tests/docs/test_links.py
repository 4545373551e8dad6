"""Links of pages that are read in the repository and on the site."""

from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="mkdocs isn't installed: docs/requirements.txt")

from sitepages.links import Links, images
from sitepages.markdown import table, text, unfenced

PAGES = {
    "SECURITY.md": "security.md",
    "README.md": "index.md",
    "samples/a.png": "files/samples/a.png",
}


def rewritten(
    tmp_path: Path, markdown: str, repo_url: str = "", page: str = "guides/http.md"
) -> str:
    (tmp_path / "tests").mkdir(exist_ok=True)
    (tmp_path / "tests/test_a.py").touch()
    return Links(tmp_path, PAGES, repo_url).rewritten(markdown, f"docs/{page}", page)


@pytest.mark.parametrize(
    ("written", "on_the_site"),
    [
        ("[a](page.md#top)", "[a](page.md#top)"),
        ("[a](../operations.md)", "[a](../operations.md)"),
        ("[a](../../SECURITY.md#b)", "[a](../security.md#b)"),
        ("[a](../../README.md#models)", "[a](../index.md)"),
        ("![a](../../samples/a.png)", "![a](../files/samples/a.png)"),
        ("[the test](../../tests/test_a.py)", "the test (`tests/test_a.py`)"),
        ("[`test_a.py`](../../tests/test_a.py)", "`tests/test_a.py`"),
        ("[b](../plugins)", "b (`docs/plugins`)"),
        ("[read/write](../../tests)", "read/write (`tests`)"),
        ("[two\nlines](../../tests)", "two\nlines (`tests`)"),
        ("[a](https://b.example/c)", "[a](https://b.example/c)"),
        ("[a](#b)", "[a](#b)"),
        ("`[a](../../SECURITY.md)`", "`[a](../../SECURITY.md)`"),
        ("```\n[a](../../SECURITY.md)\n```\n", "```\n[a](../../SECURITY.md)\n```\n"),
    ],
)
def test_links_are_those_of_the_site(tmp_path: Path, written: str, on_the_site: str) -> None:
    assert rewritten(tmp_path, written) == on_the_site


def test_files_are_links_where_the_repository_is_published(tmp_path: Path) -> None:
    at = "https://git.example/a/b"
    assert (
        rewritten(tmp_path, "[a](../../tests/test_a.py#L3)", at)
        == f"[a]({at}/blob/HEAD/tests/test_a.py#L3)"
    )
    assert rewritten(tmp_path, "[a](../../tests)", at) == f"[a]({at}/tree/HEAD/tests)"


def test_links_that_lead_nowhere_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rewritten(tmp_path, "[a](../../tests/test_b.py)")
    assert "test_b.py leads nowhere" in caplog.text


def test_images_are_found_outside_of_code() -> None:
    markdown = "![a](../samples/a.png)\n\n```\n![b](b.png)\n```\n\n[c](c.png) ![d](https://d.example/d.png)"
    assert list(images(markdown, "docs/index.md")) == ["samples/a.png"]


def test_fences_end_where_they_began() -> None:
    markdown = "a\n````md\n```\nb\n```\n````\nc"
    assert [part for is_text, part in unfenced(markdown) if is_text] == ["a\n", "c"]


def test_a_table_has_no_empty_columns_and_escapes_its_cells() -> None:
    assert table(("a", "b"), [("1", ""), ("2", "")]) == "| a |\n| --- |\n| 1 |\n| 2 |\n"
    assert text("a|b <c> `d|e`") == "a&#124;b &#60;c&#62; `d|e`"
