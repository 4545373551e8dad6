"""How much memory the limits of config.yaml allow a server to take at most, and limits that fit.

An upper bound, which no drawing comes near: every queue full of the largest files, and in every
process a picture of noise in 16 bits with alpha, whose result is as large encoded as before. The
figures were measured (docs/operations.md says how far off the sum is).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from sakuga_core.actions import ACTIONS, ImageAction
from sakuga_core.config.schema import Config
from sakuga_core.networks.registry import members
from sakuga_core.protocol import folder, streaming

MB = 2**20
# Of Triton, and of each of its Python processes, without pictures.
TRITON, PROCESS = 200 * MB, 50 * MB
# Copies of a file that is worked on, and of an encoded result: in Triton, in shared memory, in the
# process.
COPIES, RESULT_COPIES = 3, 5
LARGEST_RESULT = 2**31  # bytes; gRPC carries no more
# Bytes of a pixel in 16 bits with alpha: in a file, and of the result in work.
SAMPLES, RESULT_WORK = 8, 24
# Bytes of an input's pixel in work: in most pipelines, and where damage is looked for.
WORK, WORK_ON_DAMAGE = 45, 230
# Of each pixel of a tile, where OpenVINO runs the network that takes the most; and of a network
# that takes squares of one size.
TILE, SQUARE = 5_000, 800 * MB

# Limits to suggest, from large to small: the side of a result, and `tile_size`.
SUGGESTED = (
    *((16384, 1024), (16384, 512), (12288, 1024), (12288, 512), (8192, 1024), (8192, 512)),
    *((6144, 512), (4096, 512), (4096, 256), (3072, 256), (2048, 256), (2048, 128), (1024, 128)),
)
QUEUES = 0.05  # of the memory is for them together, in what is suggested


@dataclass(frozen=True)
class Need:
    """Bytes that a server takes at most."""

    idle: int
    networks: int
    """While they compute the largest tile."""
    queues: int
    """Files that wait."""
    work: int
    """Pictures in work, with their results."""

    @property
    def total(self) -> int:
        return self.idle + self.networks + self.queues + self.work


def need(config: Config, loaded: Collection[str] | None = None) -> Need:
    """What the limits and the numbers of processes allow.

    Args:
        loaded: Triton's models that are there; None: all that the actions name.
    """
    limits, processes = config.limits, sum(_processes(config).values())
    waiting = len(_processes(config)) * limits.queue_size * limits.input_bytes
    pixels = limits.input_pixels, limits.output_pixels
    largest = min(LARGEST_RESULT, SAMPLES * limits.output_pixels)
    work = sum(
        count * of_picture(limits.input_bytes, *pixels, largest, work_on(model))
        for model, count in _processes(config).items()
    )
    return Need(TRITON + PROCESS * processes, _networks(config, loaded), waiting, work)


def of_picture(
    file: int, pixels: int, result: int, encoded: int, work: int, result_work: int = RESULT_WORK
) -> int:
    """Bytes that a picture in work takes.

    Args:
        file: of the encoded input, in bytes.
        pixels: of the input.
        result: pixels of the result.
        encoded: of the encoded result, in bytes.
        work: bytes of each pixel of the input; see `work_on`.
        result_work: of each pixel of the result, from 3 on for 8 bits without alpha.
    """
    return COPIES * file + work * pixels + result_work * result + RESULT_COPIES * encoded


def work_on(model: str) -> int:
    """Bytes that a pipeline needs for each pixel of its input."""
    damage = ImageAction.FIX_ARTIFACTS.value
    return WORK_ON_DAMAGE if model in (damage, streaming(damage)) else WORK


def fitting(
    config: Config, memory: int, loaded: Collection[str] | None = None
) -> dict[str, int] | None:
    """The settings that have to change, by their paths, for a server that has so many bytes.

    Args:
        loaded: as `need` has it.

    Returns:
        Nothing to change, where all of it fits; None where not even the smallest limits do.
    """
    if need(config, loaded).total <= memory:
        return {}
    for changes in (*_suggestions(config, memory), _smallest(config)):
        if need(_changed(config, changes), loaded).total <= memory:
            return changes
    return None


def least(config: Config, loaded: Collection[str] | None = None) -> int:
    """Bytes that a server takes at most with the smallest of the limits that are suggested."""
    return need(_changed(config, _smallest(config)), loaded).total


def _suggestions(config: Config, memory: int) -> Iterator[dict[str, int]]:
    for (side, tile), workers in product(SUGGESTED, (None, 1)):
        yield dict(_changes(config, memory, side, tile, workers))


def _smallest(config: Config) -> dict[str, int]:
    return dict(_changes(config, 0, *SUGGESTED[-1], workers=1))


def _processes(config: Config) -> dict[str, int]:
    """How many each pipeline has, those of its twin that streams progress included."""
    rows = {action.name.value: action.program for action in ACTIONS.values() if action.program}
    return {
        model: getattr(config.server, row.workers)
        for name, row in rows.items()
        for model in (name, streaming(name))
    }


def _networks(config: Config, loaded: Collection[str] | None) -> int:
    """Of those that the actions name, each in all of its instances."""
    kinds = {
        str(config.options_for(name)["model"]): row.kind
        for name, row in ACTIONS.items()
        if config.block(name).provider is None
    }
    tile = TILE * config.limits.tile_size**2
    sizes = (
        tile if kind == "upscale" else SQUARE
        for model, kind in kinds.items()
        if loaded is None or any(folder(member) in loaded for member in members(model))
    )
    return config.server.instances * sum(sizes)


def _changes(
    config: Config, memory: int, side: int, tile: int, workers: int | None
) -> Iterator[tuple[str, int]]:
    """Limits for results of a side, as far as they are lower than the configuration's."""
    pixels = side * side
    file = pixels  # four bytes for each pixel of a picture of half that side
    waiting = int(QUEUES * memory / (len(_processes(config)) * file))
    wanted = {
        "limits.input_bytes": file,
        "limits.input_pixels": pixels // 4,
        "limits.output_pixels": pixels,
        "limits.tile_size": tile,
        "limits.queue_size": max(1, waiting),
    }
    if workers:
        wanted |= {f"server.{name}": workers for name in config.server.workers_for(workers)}
    for path, value in wanted.items():
        block, _, name = path.partition(".")
        if value < getattr(getattr(config, block), name):
            yield path, value


def _changed(config: Config, changes: Mapping[str, int]) -> Config:
    values: dict[str, Any] = config.model_dump(mode="json", exclude_unset=True)
    for path, value in changes.items():
        block, _, name = path.partition(".")
        values.setdefault(block, {})[name] = value
    return Config.model_validate(values)
