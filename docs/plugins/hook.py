"""What mkdocs calls: it adds the generated pages, and makes links those of the site."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pymdownx.slugs import slugify

from sitepages import benchmarks, links, root_files
from sitepages.commands import commands_page
from sitepages.config import config_page
from sitepages.errors import errors_page
from sitepages.http_api import http_api_page
from sitepages.models import models_page
from sitepages.options import options_page
from sitepages.protocol import protocol_page
from sitepages.python_api import python_api_page

ROOT = Path(__file__).resolve().parents[2]
LONG = re.compile(r"(?<=<code>)[^<\s]{40,}(?=</code>)")
IMAGES = "files/"  # where the site has images that lie outside of docs/

GENERATED: dict[str, Callable[[], str]] = {
    "reference/command-line.md": commands_page,
    "reference/options.md": options_page,
    "reference/config.md": lambda: config_page(ROOT),
    "reference/python-api.md": python_api_page,
    "reference/http-api.md": http_api_page,
    "reference/protocol.md": protocol_page,
    "reference/errors.md": errors_page,
    "models.md": models_page,
    benchmarks.INDEX: lambda: benchmarks.benchmarks_page(ROOT),
}


def _copied() -> dict[str, str]:
    """Pages that are files outside of docs/: their paths there and here."""
    return {**root_files.PAGES, **benchmarks.pages(ROOT)}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the pages of results to the navigation, after the index of the benchmarks. Anchors are
    made as GitHub makes them, so that they are the same in the repository and here."""
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")
    nav: list[Any] = config.nav or []
    for item in nav:
        if isinstance(item, dict) and benchmarks.INDEX in item.get("Benchmarks", ()):
            found = benchmarks.results(ROOT)
            item["Benchmarks"] += [{each.title: each.page} for each in found]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made from the code or lie elsewhere, and the images they show."""
    for source, make in GENERATED.items():
        files.append(File.generated(config, source, content=make()))
    for path, source in _copied().items():
        files.append(File.generated(config, source, abs_src_path=str(ROOT / path)))
    for path in sorted({path for file in files.documentation_pages() for path in _images(file)}):
        files.append(File.generated(config, IMAGES + path, abs_src_path=str(ROOT / path)))
    return files


def _images(file: File) -> list[str]:
    """The images of a page that lie outside of docs/."""
    found = links.images(file.content_string, _origin(file.src_uri))
    is_there = (path for path in found if (ROOT / path).is_file())
    return [path for path in is_there if not path.startswith(links.DOCS)]


def _origin(source: str) -> str:
    """The path in the repository that a page's links start from."""
    return next((path for path, at in _copied().items() if at == source), links.DOCS + source)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to files of the repository lead to the site's pages, where it has them."""
    outside = {
        file.src_uri.removeprefix(IMAGES): file.src_uri
        for file in files
        if file.src_uri.startswith(IMAGES)
    }
    pages = {**root_files.ALSO, **_copied(), **outside}
    site = links.Links(ROOT, pages, config.repo_url or "")
    return site.rewritten(markdown, _origin(page.file.src_uri), page.file.src_uri)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Long names, as those of tests, may be broken, so that tables fit."""
    return LONG.sub(lambda found: re.sub(r"(?<=[/_:.])(?=\w)", "<wbr>", found[0]), html)
