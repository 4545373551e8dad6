"""The pages of the benchmarks: their results, and an index."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from sitepages.markdown import code, page, table, text

RESULTS = "benchmarks/results"
INDEX = "benchmarks/index.md"

ABOUT = """# Benchmarks

What `make bench` measured last, each benchmark with its table, its machine and its date. [All
comparisons](summary.md) has the main figures in one table. `python benchmarks/NAME.py` repeats a
single one; the same figures are beside each page as JSON, in `benchmarks/results`."""


class Result(NamedTuple):
    """A page of results."""

    path: str
    """In the repository."""
    page: str
    """In the site's sources."""
    title: str
    date: str


def results(root: Path) -> list[Result]:
    """Every page of results, that of all comparisons first."""
    files = sorted(
        (root / RESULTS).glob("*.md"), key=lambda file: (file.stem != "summary", file.stem)
    )
    return [_result(file, root) for file in files]


def _result(file: Path, root: Path) -> Result:
    markdown = file.read_text(encoding="utf-8")
    title = re.search(r"^# (.+)$", markdown, re.MULTILINE)
    date = re.search(r"\bdate (\d{4}-\d\d-\d\d)", markdown)
    named = title[1] if title else file.stem
    path = file.relative_to(root).as_posix()
    return Result(path, f"benchmarks/{file.name}", named, date[1] if date else "")


def benchmarks_page(root: Path) -> str:
    """The index."""
    return page(ABOUT, table(("benchmark", "measured", "program"), _rows(root)))


def _rows(root: Path) -> Iterator[tuple[str, ...]]:
    for result in results(root):
        name = Path(result.path).name
        program = Path(result.path).stem.partition("-")[0]
        is_there = (root / f"benchmarks/{program}.py").exists()
        yield (
            f"[{text(result.title)}]({name})",
            result.date,
            code(f"benchmarks/{program}.py") if is_there else "",
        )


def pages(root: Path) -> Mapping[str, str]:
    """Each page's path in the repository, with that in the site's sources."""
    return {result.path: result.page for result in results(root)}
