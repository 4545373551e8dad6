"""The page in Chromium: its weight, its first paint, its memory after sixty pictures, and what a
large one does to it.

`python benchmarks/page.py`; about four minutes on two cores.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import store
from PIL import Image
from playwright.sync_api import Browser
from upscale import Loop, drawn, served, temporary_repository

from gateway_for_tests import Web
from page_for_tests import Sakuga, started
from pictures import encoded
from sakuga import load_config

VIDEO = "realesr-animevideov3"
PICTURES, EVERY, SIDE = 60, 10, 256
LARGE = (8192, 6144)
NOTES = [
    "Weight: all that a first visit loads, but for the samples' pictures, as it is sent (gzip). "
    "First paint: First Contentful Paint of a browser that has kept nothing, median of five.",
    f"Memory: {PICTURES} pictures of {SIDE}², upscaled four times, one after the other, each shown "
    "with its result: the JavaScript heap after a collection, and the proportional memory of all "
    "of the browser's processes, before and after the system tells them that memory is short (they "
    "keep decoded pictures while it isn't).",
    f"A large picture: {LARGE[0]}×{LARGE[1]}, chosen and shown, zoomed and moved; the longest time "
    "for which the page's main thread was busy.",
]

_PAINT = """() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime"""
_TASKS = """() => {
  window.longest = 0;
  new PerformanceObserver((list) => {
    const took = list.getEntries().map(({ duration }) => duration);
    window.longest = Math.max(window.longest, ...took);
  }).observe({ type: "longtask" });
}"""


def visit(browser: Browser, web: Web) -> dict[str, float]:
    """What the first visit costs."""
    paints, weight = [], 0
    for _ in range(5):
        context = browser.new_context()
        tab = context.new_page()
        sizes: list[int] = []
        tab.on("requestfinished", lambda each: sizes.append(_sent(each)))  # noqa: B023
        tab.goto(web.url)
        tab.wait_for_selector("[role=tab]")
        while (paint := tab.evaluate(_PAINT)) is None:
            tab.wait_for_timeout(10)
        paints.append(paint)
        weight = sum(sizes)
        context.close()
    return {"weight_kb": round(weight / 1000, 1), "first_paint_ms": round(float(np.median(paints)))}


def _sent(request: Any) -> int:
    if "/samples/" in request.url:
        return 0
    return int(request.sizes()["responseBodySize"])


def memory(browser: Browser, web: Web, folder: Path) -> list[dict[str, float]]:
    """After so many pictures."""
    page, rows = Sakuga(browser, web), []
    session = page.context.new_cdp_session(page.page)
    pressure = browser.new_browser_cdp_session()
    generator, drawing = np.random.default_rng(3), drawn(SIDE)
    for number in range(PICTURES):
        shifted = np.roll(drawing, tuple(generator.integers(0, SIDE, 2)), (0, 1))
        file = folder / f"{number}.png"
        file.write_bytes(encoded(shifted))
        page.take(file)
        page.run()
        page.at("img.after").evaluate("(image) => image.decode()")
        if (number + 1) % EVERY == 0 or number == 0:
            row = {"pictures": number + 1, "all_mb": _memory()}
            session.send("HeapProfiler.collectGarbage")
            row["heap_mb"] = round(session.send("Runtime.getHeapUsage")["usedSize"] / 2**20, 1)
            pressure.send("Memory.simulatePressureNotification", {"level": "critical"})
            page.page.wait_for_timeout(1000)
            rows.append({**row, "needed_mb": _memory()})
            print(rows[-1], flush=True)
    page.close()
    return rows


def _memory() -> int:
    """Of all of the browser's processes, in megabytes; shared pages by their part."""
    whole = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"chrom" in (process / "cmdline").read_bytes()[:200]:
                lines = (process / "smaps_rollup").read_text().splitlines()
                whole += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:  # it has just ended
            continue
    return whole // 1024


def large(browser: Browser, web: Web, folder: Path) -> dict[str, float]:
    """How long the page stands still for a picture of 50 MP."""
    file = folder / "large.jpg"
    noise = np.random.default_rng(1).integers(0, 256, (LARGE[1] // 8, LARGE[0] // 8, 3), np.uint8)
    Image.fromarray(noise).resize(LARGE).save(file, "JPEG", quality=90)
    page = Sakuga(browser, web)
    page.page.evaluate(_TASKS)
    page.take(file)
    page.at(".item img.thumbnail").wait_for()
    page.page.keyboard.press("9")
    for _ in range(20):
        page.page.keyboard.press("+")
        page.at(".stage").press("ArrowRight")
    longest = float(page.page.evaluate("() => window.longest"))
    page.close()
    return {"megapixels": LARGE[0] * LARGE[1] / 1e6, "longest_ms": round(longest)}


def main() -> None:
    loop, config = Loop(), load_config()
    config.providers.image.upscale.model = VIDEO
    server = served(config, loop)
    with (
        temporary_repository(config),
        server as (_, triton),
        tempfile.TemporaryDirectory() as folder,
    ):
        web = Web(Path(folder), triton.url)
        web.start()
        with started() as browser:
            first = visit(browser, web)
            print(first, flush=True)
            stall = large(browser, web, web.folder)
            print(stall, flush=True)
        with started() as browser:
            rows = memory(browser, web, web.folder)
        web.end()
    table = [
        "| first visit: sent, kB | first paint, ms | 50 MP: main thread busy at most, ms |",
        "|---|---|---|",
        f"| {first['weight_kb']} | {first['first_paint_ms']} | {stall['longest_ms']} |",
        "",
        "| pictures | JavaScript heap, MB | all of the browser, MB | of that needed, MB |",
        "|---|---|---|---|",
        *(f"| {r['pictures']} | {r['heap_mb']} | {r['all_mb']} | {r['needed_mb']} |" for r in rows),
    ]
    store("page", "The page", {"visit": first, "large": stall, "memory": rows}, table, NOTES)


if __name__ == "__main__":
    sys.exit(main())
