"""The page in a real Chromium, as a person uses it."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Dialog, Locator, Page, sync_playwright

import chromium
from gateway_for_tests import Web

WIDE, NARROW = (1280, 800), (360, 740)
PATIENCE = 60_000  # milliseconds that work may take

# Drops files on the page as a file manager does, with their folders.
_DROP = """(files) => {
  const transfer = new DataTransfer();
  for (const { name, data, type } of files) {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type }));
  }
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
    document.body.dispatchEvent(event);
  }
}"""


@contextmanager
def started() -> Iterator[Browser]:
    """Chromium, without a window."""
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        yield playwright.chromium.launch(executable_path=chromium.path(), args=flags)


@dataclass
class Sakuga:
    """The page of a gateway, in a browser of its own."""

    browser: Browser
    web: Web
    size: tuple[int, int] = WIDE
    scheme: Any = "light"
    is_locked: bool = False
    """Whether the gateway wants a key before it shows anything."""
    complaints: list[str] = field(default_factory=list)
    """What the browser's console says of errors."""
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    """What the browser asked, each time answered with yes."""

    def __post_init__(self) -> None:
        width, height = self.size
        self.context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=self.scheme,
            accept_downloads=True,
            permissions=["clipboard-read", "clipboard-write"],
        )
        self.context.set_default_timeout(PATIENCE)
        self.page = self.opened()

    def opened(self) -> Page:
        """The page, in a new tab."""
        page = self.context.new_page()
        page.on("console", lambda each: each.type == "error" and self.complaints.append(each.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", self._accept)
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(self.web.url)
        page.wait_for_selector("#key" if self.is_locked else "[role=tab]")
        return page

    def _accept(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.accept()

    def close(self) -> None:
        self.context.close()

    def at(self, selector: str, **options: Any) -> Locator:
        return self.page.locator(selector, **options)

    def button(self, name: str, **options: Any) -> Locator:
        return self.page.get_by_role("button", name=name, **options)

    def choose(self, action: str) -> None:
        """An action, by its tab."""
        self.page.get_by_role("tab", name=action, exact=True).click()

    def set(self, option: str, value: str | float | bool) -> None:
        """An option, by its control."""
        control = self.at(f"#option-{option}")
        if not control.is_visible():
            self.at("details.more summary").click()
        if isinstance(value, bool):
            control.set_checked(value)
        elif control.evaluate("(element) => element.localName") == "select":
            control.select_option(str(value))
        else:
            control.fill(str(value))
            control.blur()

    def drop(self, files: Mapping[str, bytes], kind: str = "image/png") -> None:
        """Files, by name; waits until they are in the queue."""
        there = self.at(".item").count()
        sent = [
            {"name": name, "data": base64.b64encode(data).decode(), "type": kind}
            for name, data in files.items()
        ]
        self.page.evaluate(_DROP, sent)
        self.at(".item").nth(there + len(files) - 1).wait_for()
        self.at('output.zoom:has-text("%")').wait_for()

    def take(self, *files: Path) -> None:
        """Files from the disk, as a file dialog does; waits until they are in the queue."""
        there = self.at(".item").count()
        self.at("#files").set_input_files(files)
        self.at(".item").nth(there + len(files) - 1).wait_for()
        self.at('output.zoom:has-text("%")').wait_for()

    def run(self) -> None:
        """Starts the shown picture, and waits for its result."""
        self.at("button.large").click()
        self.at(".slider").wait_for()

    def download(self, name: str = "Download") -> tuple[str, bytes]:
        """What a button saves: its name, and the bytes."""
        with self.page.expect_download() as saved:
            self.button(name, exact=name == "Download").click()
        return saved.value.suggested_filename, Path(saved.value.path()).read_bytes()

    def states(self) -> list[str]:
        """What the queue says of each picture."""
        return self.at(".item .state").all_inner_texts()

    def stored(self) -> list[dict[str, Any]]:
        """The pictures of the queue as they are on the shelf, without their files."""
        found = self.page.evaluate(
            """async () => {
              const { all } = await import("/web/shelf.js");
              const kept = await all();
              return JSON.stringify(kept.map(({ file, thumbnail, ...rest }) => rest));
            }"""
        )
        pictures: list[dict[str, Any]] = json.loads(found)
        return pictures

    def shot(self) -> bytes:
        """What is on the screen, as PNG."""
        return self.page.screenshot()

    def width_too_large(self) -> int:
        """By how many pixels the page is wider than the window."""
        wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(wide))
