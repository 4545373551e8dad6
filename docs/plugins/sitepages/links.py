"""Links between pages, and to files of the repository that are no pages."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mkdocs.plugins import get_plugin_logger

from sitepages.markdown import code, unfenced

log = get_plugin_logger("sitepages")

DOCS = "docs/"
README = "README.md"
# Of docs/, but not on the site; see exclude_docs of mkdocs.yml.
HIDDEN = ("docs/plugins", "docs/requirements.txt")
# A span of code, which is left alone, or a link or image.
_LINK = re.compile(
    r"(?P<code>(`+)[^`].*?\2)"
    r"|(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]+)(?P<title>\s+\"[^\"]*\")?\)",
    re.DOTALL,
)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:|/|#", re.IGNORECASE)


@dataclass(frozen=True)
class Links:
    """What links of the repository's files lead to."""

    root: Path
    """Of the repository."""
    pages: Mapping[str, str]
    """Files outside of docs/ that the site has: their path in the repository, and in the site's
    sources."""
    repo_url: str = ""
    """Where the repository is published; empty: nowhere yet."""

    def rewritten(self, markdown: str, origin: str, page: str) -> str:
        """A page's text with its links as the site has them.

        Args:
            markdown: of the page.
            origin: the path in the repository that its links start from.
            page: its path in the site's sources.
        """

        def replaced(found: re.Match[str]) -> str:
            if found["code"] or _ADDRESS.match(found["target"]):
                return found[0]
            return self._link(found, origin, page)

        return "".join(
            _LINK.sub(replaced, part) if is_text else part for is_text, part in unfenced(markdown)
        )

    def _link(self, found: re.Match[str], origin: str, page: str) -> str:
        path, _, fragment = found["target"].partition("#")
        target = resolved(path, origin)
        if source := self._source(target):
            # The sections of the README aren't those of the site's first page.
            end = f"#{fragment}" if fragment and target != README else ""
            link = posixpath.relpath(source, posixpath.dirname(page) or ".") + end
            return f"{found['image']}[{found['text']}]({link}{found['title'] or ''})"
        if not (self.root / target).exists():
            log.warning("%s: %s leads nowhere", origin, found["target"])
        return self._outside(found["text"], target, fragment)

    def _source(self, target: str) -> str | None:
        is_hidden = target.startswith(HIDDEN) or (self.root / target).is_dir()
        if target.startswith(DOCS) and not is_hidden:
            return target.removeprefix(DOCS)
        return self.pages.get(target)

    def _outside(self, words: str, target: str, fragment: str) -> str:
        """A link to a file that isn't on the site."""
        if self.repo_url:
            kind = "tree" if (self.root / target).is_dir() else "blob"
            end = f"#{fragment}" if fragment else ""
            return f"[{words}]({self.repo_url.rstrip('/')}/{kind}/HEAD/{target}{end})"
        is_its_name = target.endswith(words.strip("`").rstrip("/"))
        return code(target) if is_its_name else f"{words} ({code(target)})"


def resolved(path: str, origin: str) -> str:
    """A relative path as one from the root of the repository.

    Args:
        path: as a link has it; empty: the file itself.
        origin: the file that has the link.
    """
    joined = posixpath.join(posixpath.dirname(origin), path) if path else origin
    return posixpath.normpath(joined)


def images(markdown: str, origin: str) -> Iterator[str]:
    """The images of a page that are files of the repository, by their paths in it."""
    for is_text, part in unfenced(markdown):
        for found in _LINK.finditer(part) if is_text else ():
            if found["image"] and not _ADDRESS.match(found["target"]):
                yield resolved(found["target"], origin)
