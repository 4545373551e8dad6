"""Markdown as the pages are written in: tables, code, anchors, texts of docstrings."""

import re
from collections.abc import Iterable, Iterator, Sequence

_SPAN = re.compile(r"(`+[^`]+`+)")
NONE = "–"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; columns that are empty in every row are left out, and without a row all of it.

    Args:
        head: titles of the columns.
        rows: cells in Markdown, of one line each.
    """
    lines = [[" ".join(cell.split()) for cell in row] for row in rows]
    kept = [at for at in range(len(head)) if any(line[at] for line in lines)]
    if not lines:
        return ""
    body = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(line[at] for at in kept) + " |" for line in body) + "\n"


def code(value: str, anchor: str = "") -> str:
    """A text as code, with an anchor if one is given.

    Args:
        value: any text of one line.
        anchor: an id that no other part of the page has.
    """
    ticks = "``" if "`" in value else "`"
    span = f"{ticks} {value} {ticks}" if "`" in value else f"`{value}`"
    return (span + (f"{{#{anchor}}}" if anchor else "")) if value else ""


def codes(values: Iterable[str]) -> str:
    """Texts as code, with commas between."""
    return ", ".join(map(code, values))


def text(value: str) -> str:
    """A text of a docstring or a description, with what Markdown or HTML would take for its own
    escaped; code in backticks stays."""
    parts = _SPAN.split(value)
    parts[::2] = [re.sub(r"[<>|*\[\]]", lambda found: f"&#{ord(found[0])};", p) for p in parts[::2]]
    return "".join(parts)


def sentence(value: str) -> str:
    """A text that begins with a capital letter, unless with a name or a value, and ends with a full
    stop."""
    value = text(value.strip())
    if re.match(r"[a-z]+,?( |$)", value):
        value = value[0].upper() + value[1:]
    return value + ("" if not value or value[-1] in ".!?:" else ".")


def page(*parts: str) -> str:
    """A page of its parts; empty ones are left out."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"


def slug(value: str) -> str:
    """A text as an anchor: lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")


def unfenced(markdown: str) -> Iterator[tuple[bool, str]]:
    """A page in parts: whether each is text, and no fenced code; then the part."""
    part: list[str] = []
    fence = ""
    for line in markdown.splitlines(keepends=True):
        found = re.match(r" {0,3}(`{3,}|~{3,})", line)
        ends = fence and found and found[1].startswith(fence) and not line.strip(" \n`~")
        if found and not fence:
            yield True, "".join(part)
            part, fence = [line], found[1]
        elif ends:
            yield False, "".join([*part, line])
            part, fence = [], ""
        else:
            part.append(line)
    yield not fence, "".join(part)
