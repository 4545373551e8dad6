"""Peak memory and time against picture size: a new server for each size.

`python benchmarks/memory.py`; about ten minutes on two cores.
"""

import os
import sys
from pathlib import Path

from measure import seconds, store
from upscale import TILE_SIZE, Loop, drawn, served, temporary_repository

from pictures import encoded
from sakuga import load_config

CASES = [
    *(("realesr-animevideov3", side) for side in (512, 1024, 2048, 4096, 8192)),
    *(("realesrgan-x4plus-anime", side) for side in (512, 1024, 2048)),
]
NOTES = [
    f"Each server first processes an uncounted picture of the same size, at most {TILE_SIZE}².",
    "Memory is the sum of the high-water marks of all of the server's processes. Shared memory "
    "counts once for each process that touched it, so this is an upper bound.",
    "A picture's arrays grow with its size (a 4096² result has 805 MB); a network's memory "
    "doesn't, once pictures are tiled.",
]


def family(process: int) -> list[int]:
    """A process and all its descendants."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(p for child in children for p in family(int(child)))]


def high_water(process: int) -> float:
    """Peak resident memory of a process, in gigabytes."""
    status = Path(f"/proc/{process}/status").read_text().splitlines()
    mark = next((line.split()[1] for line in status if line.startswith("VmHWM")), "0")
    return int(mark) / 2**20


def measure(model: str, side: int, loop: Loop) -> dict[str, object]:
    config = load_config()
    config.server.timeout = 3600
    config.limits.input_pixels, config.limits.output_pixels = 2**26, 2**30
    config.server.preload = [model]  # loading it isn't what is measured
    # The first picture isn't counted, as it compiles; larger ones come in tiles of this size.
    first, data = encoded(drawn(min(side, TILE_SIZE))), encoded(drawn(side))
    with temporary_repository(config), served(config, loop) as (images, server):
        loop(images.process(first, "upscale", {"model": model}))
        took = seconds(lambda: loop(images.process(data, "upscale", {"model": model})))
        peak = sum(high_water(process) for process in family(server.process.pid))
    row = {"model": model, "side": side, "seconds": round(took, 1), "server_gb": round(peak, 2)}
    row["us_per_pixel"] = round(took * 1e6 / side**2, 2)
    print(row, flush=True)
    return row


def main() -> None:
    loop = Loop()
    rows = [measure(model, side, loop) for model, side in CASES]
    client = round(high_water(os.getpid()), 2)
    table = [
        "| model | input | seconds | µs a pixel | server's peak, GB |",
        "|---|---|---|---|---|",
        *(
            f"| {r['model']} | {r['side']}² | {r['seconds']} | {r['us_per_pixel']} "
            f"| {r['server_gb']} |"
            for r in rows
        ),
    ]
    notes = [*NOTES, f"The client's peak, over all of these pictures: {client} GB."]
    found = {"rows": rows, "client_gb": client}
    store("memory", "Memory and time against picture size", found, table, notes)


if __name__ == "__main__":
    sys.exit(main())
