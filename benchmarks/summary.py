"""All benchmarks in one table, from what each wrote last, and two plots for docs/performance.md.

`python benchmarks/summary.py`, after the others; seconds.
"""

import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
from fix import Gain, totals
from measure import RESULTS

matplotlib.use("Agg")
from matplotlib import pyplot

DOCS = Path(__file__).parents[1] / "docs"
PEERS = {
    "upscale": "RealESRGANer, or the bare network",
    "families": "ncnn",
    "background": "rembg",
    "matting": "PyMatting",
    "enhance": "aura_sr",
    "codecs": "Pillow",
}
OTHERS = {
    "quality": "quality of each super-resolution network",
    "swap": "switching models under load",
    "load": "clients, batching",
    "fairness": "thumbnails beside a large picture",
    "soak": "an hour of pictures and faults",
    "gateway": "HTTP against gRPC",
    "start": "start-up: commands, a server, the first picture",
    "memory": "time and memory against picture size",
    "sizing": "what a node needs for each model",
    "encoding": "cores for one card",
    "perf_analyzer": "NVIDIA's perf_analyzer on `upscale`",
    "gpu": "the networks on a GPU",
}
SUBJECTS = {"upscale": "", "background": "u2net: ", "enhance": "aura-sr-v2: "}
OURS, INEXACT, THEIRS, INK = "#2f7d5b", "#9cc7b2", "#b8b0a2", "#333333"


def read(name: str) -> dict[str, Any] | None:
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def rows() -> Iterator[dict[str, Any]]:
    """Every comparison, with its benchmark, its peer and the day."""
    for name, peer in PEERS.items():
        found = read(name)
        for row in found["rows"] if found else ():
            yield {"benchmark": name, "peer": peer, "date": found["machine"]["date"], **row}
    yield from repaired()


def repaired() -> Iterator[dict[str, Any]]:
    """A row for each type of damage: what `fix_artifacts` gains over plain upscaling, and costs."""
    found = read("fix") or {"rows": []}
    for of in totals([Gain(**row) for row in found["rows"]]):
        text = f"{of.pictures} pictures: {of.gain_db:+.2f} dB, at least {of.least_db:+.2f}; "
        text += f"repairing takes {100 * of.repair_share:.0f} % of the network's time"
        row = {"benchmark": "fix", "peer": "plain upscaling", "date": found["machine"]["date"]}
        yield {
            **row,
            **dict.fromkeys(("ours_s", "peer_s", "ratio")),
            "what": of.damage,
            "quality": text,
        }


def table(listed: list[dict[str, Any]]) -> str:
    lines = [
        "# All comparisons\n",
        "The latest results of each benchmark; both sides of a row alternated in one run. The "
        "ratio is the peer's time divided by ours: above 1, ours is faster.\n",
        "| benchmark | what | Sakuga, s | the peer, s | ratio | difference | peer | date |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in listed:
        times = " | ".join(str(r[key] or "") for key in ("ours_s", "peer_s", "ratio"))
        rest = f"{r['quality']} | {r['peer']} | {r['date']}"
        lines.append(
            f"| [{r['benchmark']}]({r['benchmark']}.md) | {r['what']} | {times} | {rest} |"
        )
    there = {name: text for name, text in OTHERS.items() if read(name)}
    lines += ["", *(f"- [{text}]({name}.md)" for name, text in there.items())]
    return "\n".join(lines) + "\n"


def speed(listed: list[dict[str, Any]]) -> None:
    """How many times as fast: one bar for each comparison of whole pictures, those of float32 with
    float32 first."""
    shown = [r for r in listed if r["ratio"] and "bare" not in r["what"]]
    shown = [r for r in shown if r["benchmark"] in ("upscale", "background", "enhance")]
    # Where a CPU has no bfloat16, a network was measured twice in float32; the last one counts.
    shown = sorted({bar_name(r): r for r in shown}.values(), key=in_bfloat16)
    figure, axes = pyplot.subplots(figsize=(9, 0.28 * len(shown) + 1))
    colours = [INEXACT if in_bfloat16(r) else OURS for r in shown]
    bars = axes.barh([bar_name(r) for r in shown], [r["ratio"] for r in shown], color=colours)
    labels = [str(math.floor(r["ratio"] * 10) / 10) for r in shown]  # never rounded up
    axes.bar_label(bars, labels, padding=3, fontsize=8, color=INK)
    axes.invert_yaxis()
    axes.axvline(1, color=THEIRS)
    axes.set(xscale="log", xlabel="times as fast as the peer, same run, same machine")
    axes.set_xticks([1, 3, 10, 30], ["1", "3", "10", "30"])
    axes.minorticks_off()
    axes.tick_params(labelsize=8)
    saved(figure, "speed.png")


def in_bfloat16(row: dict[str, Any]) -> bool:
    """Whether ours, alone, wasn't in float32: results more than a level apart."""
    apart = re.match(r"at most (\d+) level", row["quality"])
    return "bf16" in row["what"] or (row["benchmark"] == "upscale" and int(apart[1]) > 1)


def bar_name(row: dict[str, Any]) -> str:
    name = SUBJECTS[row["benchmark"]] + row["what"].removesuffix(" against RealESRGANer")
    name = name.removesuffix(", fp32").replace(" bf16", "")
    return f"{name}, bfloat16 against float32" if in_bfloat16(row) else name


def load() -> None:
    """Pictures a second and waiting against clients; time and memory against size."""
    loaded, sized = read("load"), read("memory")
    if not loaded or not sized:
        return
    figure, (first, second, third) = pyplot.subplots(1, 3, figsize=(12, 3.4))
    upscale = [r for r in loaded["rows"] if r["action"] == "upscale"]
    for variant in dict.fromkeys(r["variant"] for r in upscale):
        line = [r for r in upscale if r["variant"] == variant]
        clients = [r["clients"] for r in line]
        first.plot(clients, [r["pictures_per_s"] for r in line], marker="o", label=variant)
    first.set(xscale="log", xlabel="clients", ylabel="pictures a second", ylim=0)
    first.legend(fontsize=7)
    served = [r for r in upscale if r["max_queue_delay_us"] == chosen() and r["batch_limit"] != 1]
    for percentile in ("p50_ms", "p95_ms", "p99_ms"):
        pairs = [(r["clients"], r[percentile] / 1000) for r in served if r[percentile]]
        second.plot(*zip(*pairs, strict=True), marker="o", label=percentile.removesuffix("_ms"))
    second.set(xscale="log", xlabel="clients", ylabel="seconds a picture", ylim=0)
    second.legend(fontsize=7)
    for model in dict.fromkeys(r["model"] for r in sized["rows"]):
        line = [r for r in sized["rows"] if r["model"] == model]
        sides = [r["side"] ** 2 / 1e6 for r in line]
        base = line[0]["us_per_pixel"]
        third.plot(sides, [r["us_per_pixel"] / base for r in line], marker="o", label=model)
    third.set(
        xscale="log", xlabel="megapixels in", ylabel="time a pixel, by the smallest's", ylim=0
    )
    third.legend(fontsize=7)
    saved(figure, "load.png")


def chosen() -> int:
    from sakuga import Config

    return Config().server.max_queue_delay_us


def saved(figure: Any, name: str) -> None:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(DOCS / name, dpi=110)


def main() -> None:
    listed = list(rows())
    (RESULTS / "summary.json").write_text(json.dumps(listed, indent=2) + "\n")
    (RESULTS / "summary.md").write_text(table(listed))
    speed(listed)
    load()


if __name__ == "__main__":
    sys.exit(main())
