"""The CPU beside one card: what decoding, encoding and transport take of it.

`python benchmarks/sizing.py --codecs`; about a minute on two cores.
"""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from drawings import Drawings
from measure import one_core, store
from memory import family
from upscale import Loop, served, temporary_repository

from pictures import encoded
from sakuga import load_config
from sakuga_core.config.server import Limits
from sakuga_core.options import Format
from sakuga_core.protocol import FIX_ARTIFACTS
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.encode import encode
from sakuga_server.imaging.picture import Picture

SIDE, RUNS, REQUESTS = 4096, 9, 4
RATES = (33, 10)
FORMATS: dict[str, Format] = {
    "PNG": "png",
    "WebP, lossless": "webp",
    "JPEG, quality 95": "jpeg",
    "raw": "raw",
}
# A request without a network: what is left of it is decoding, encoding and transport.
BARE = {"detector": "none", "restore": False, "inpaint": "none", "result": "restored"}
NOTES = [
    f"Milliseconds of one core, the least of {RUNS} runs. Decoded is a PNG of {SIDE // 4}², "
    f"encoded an 8-bit RGB result of {SIDE}²: the heroine, upscaled four times.",
    "Transport is what a server's processes take beyond the pipeline, from its result's bytes to "
    "the socket: measured for raw, for the others in proportion to their bytes.",
    "Cores are pictures a second times the sum. 33 a second is the goal for "
    f"`realesrgan-x4plus-anime` from {SIDE // 4}² to {SIDE}² on an H200.",
    "What tiles take between pipeline and network isn't in it, nor the client's own time.",
]


@dataclass(frozen=True)
class Cost:
    """Of one picture, in milliseconds of one core."""

    what: str
    megabytes: float
    decode_ms: float
    encode_ms: float
    transport_ms: float

    @property
    def total_ms(self) -> float:
        return self.decode_ms + self.encode_ms + self.transport_ms

    def cores(self, rate: float) -> float:
        """For so many pictures a second."""
        return rate * self.total_ms / 1000

    @property
    def row(self) -> str:
        times = (self.decode_ms, self.encode_ms, self.transport_ms, self.total_ms)
        cores = (f"{self.cores(rate):.1f}" for rate in RATES)
        cells = (self.what, f"{self.megabytes:.1f}", *(f"{ms:.0f}" for ms in times), *cores)
        return f"| {' | '.join(cells)} |"


def processor_ms(work: Callable[[], object]) -> float:
    """Processor time of this process, the least of some runs after an uncounted one."""

    def one() -> float:
        start = time.process_time()
        work()
        return 1000 * (time.process_time() - start)

    one()
    return min(one() for _ in range(RUNS))


def spent_ms(process: int) -> float:
    """Processor time of a process and all its descendants since they started."""
    ticks = 0
    for each in family(process):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime, see proc(5)
    return 1000 * ticks / os.sysconf("SC_CLK_TCK")


def transport_ms() -> float:
    """Milliseconds of a server for each megabyte of a result."""
    data, config, loop = encoded(np.zeros((SIDE, SIDE, 3), np.uint8)), load_config(), Loop()
    pipeline = processor_ms(lambda: encode(decode(data, Limits()), "raw", None, True))
    with temporary_repository(config), served(config, loop, [FIX_ARTIFACTS]) as (images, server):

        def one() -> float:
            before = spent_ms(server.process.pid)
            for _ in range(REQUESTS):  # spent_ms counts in hundredths of a second
                loop(images.process(data, "fix_artifacts", {**BARE, "format": "raw"}))
            return (spent_ms(server.process.pid) - before) / REQUESTS

        one()
        least = min(one() for _ in range(RUNS))
    return (least - pipeline) / (3e-6 * SIDE**2)


def costs() -> list[Cost]:
    drawings, per_megabyte = Drawings(SIDE), transport_ms()
    source, result = encoded(drawings.small), Picture(drawings.rgb)
    with one_core():
        before = processor_ms(lambda: decode(source, Limits()))
        found = []
        for what, kind in FORMATS.items():
            work = partial(encode, result, kind, None, True)
            size = len(work()) / 1e6
            found.append(Cost(what, size, before, processor_ms(work), size * per_megabyte))
            print(found[-1], flush=True)
    return found


def main() -> None:
    found = costs()
    rates = "".join(f" cores for {rate} a second |" for rate in RATES)
    table = [
        f"| result | MB | decode, ms | encode, ms | transport, ms | sum, ms |{rates}",
        "|---" * (6 + len(RATES)) + "|",
        *(cost.row for cost in found),
    ]
    rows = [
        {name: round(v, 2) if isinstance(v, float) else v for name, v in asdict(cost).items()}
        for cost in found
    ]
    store("encoding", "Cores for one card", {"rows": rows}, table, NOTES)
