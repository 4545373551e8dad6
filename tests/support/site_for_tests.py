"""A built site, as a browser would read it; and the examples in the documentation's sources."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from networks_for_tests import PROJECT

# What a page loads, by tag and attribute; other addresses are links.
ASSETS = {
    *(("script", "src"), ("img", "src"), ("source", "src"), ("source", "srcset")),
    *(("iframe", "src"), ("video", "src"), ("link", "href"), ("object", "data")),
}
LINKS = {*ASSETS, ("a", "href")}
_LOADED = re.compile(r"url\(\s*['\"]?([^)'\"]+)|@import\s+['\"]([^'\"]+)")


class Page(HTMLParser):
    """A page: its anchors, its links, and the rows of its tables by the anchors in them."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, str]] = []
        """Tag and address."""
        self.assets: list[str] = []
        self.rows: dict[str, list[str]] = {}
        """Of each anchor in a table, the cells of its row."""
        self._row: list[str] = []
        self._in_row: list[str] = []
        self._sink: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    @property
    def text(self) -> str:
        """All text of the page."""
        return "".join(self._sink)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Takes anchors and addresses."""
        for name, value in attributes:
            if name == "id" or (tag, name) == ("a", "name"):
                self.anchors.add(value or "")
                self._in_row.append(value or "")
            if (tag, name) in LINKS and value:
                self.links.append((tag, value))
            if (tag, name) in ASSETS and value:
                self.assets.append(value)
        if tag == "tr":
            self._row, self._in_row = [], []
        elif tag in ("td", "th"):
            self._row.append("")
        elif tag == "br" and self._row:
            self._row[-1] += " "

    def handle_endtag(self, tag: str) -> None:
        """Ends a row."""
        if tag == "tr":
            cells = [" ".join(cell.split()) for cell in self._row]
            self.rows |= dict.fromkeys(self._in_row, cells)
            self._row = []

    def handle_data(self, data: str) -> None:
        """Takes text."""
        self._sink.append(data)
        if self._row:
            self._row[-1] += data


@dataclass
class Site:
    """A built site."""

    root: Path
    _pages: dict[Path, Page] = field(default_factory=dict)

    def page(self, name: str | Path) -> Page:
        """A page by its path in the site."""
        file = self.root / name
        if file not in self._pages:
            self._pages[file] = Page(file)
        return self._pages[file]

    @cached_property
    def files(self) -> list[Path]:
        """Every page; that of missing ones has addresses from the root of a server."""
        return [file for file in sorted(self.root.rglob("*.html")) if file.name != "404.html"]

    def broken(self, file: Path) -> Iterator[str]:
        """The links of a page that lead to no file, or no anchor, of the site."""
        for tag, address in self.page(file).links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                yield f"{file.relative_to(self.root)}: <{tag}> {address} leads nowhere"
            elif not self._has(target, unquote(parts.fragment)):
                yield f"{file.relative_to(self.root)}: {address} has no such anchor"

    def _has(self, file: Path, anchor: str) -> bool:
        return not anchor or file.suffix != ".html" or anchor in self.page(file).anchors

    def foreign(self) -> Iterator[str]:
        """What pages or style sheets load of other hosts."""
        for file in self.files:
            for address in self.page(file).assets:
                if urlsplit(address).netloc:
                    yield f"{file.name}: {address}"
        for file in self.root.rglob("*.css"):
            for found in _LOADED.finditer(file.read_text(encoding="utf-8")):
                address = found[1] or found[2]
                if urlsplit(address).netloc:
                    yield f"{file.name}: {address}"


SOURCES = sorted(
    path
    for path in (*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md"))
    if path.name != "CHANGELOG.md"
)


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    file: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """The blocks of the documentation in one of these languages."""
    return [block for path in SOURCES for block in _blocks(path) if block.language in languages]


def _blocks(path: Path) -> Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for found in re.finditer(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE):
        line = text[: found.start()].count("\n") + 1
        inner = re.sub(f"^{found[1]}", "", found[3], flags=re.MULTILINE)
        yield Block(str(path.relative_to(PROJECT)), line, found[2], inner)


def commands(block: Block, program: str) -> Iterator[list[str]]:
    """Each call of a program in a block of shell, as its words."""
    for line in block.text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
        lexer.wordchars += "{}$…=:,*?[]@%+!^"
        call: list[str] = []
        for word in [*lexer, ";"]:
            if not set(word) <= set("|&;<>()"):
                call.append(word)
                continue
            while call and re.fullmatch(r"\w+=.*|time|exec|!", call[0]):
                call.pop(0)
            if call and call[0] == program:
                yield call[1:]
            # What follows < or > is a file's name.
            call = ["<"] if set(word) & set("<>") else []
