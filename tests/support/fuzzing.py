"""Fuzzing of one parser: guided by coverage for as long as one likes, or briefly as a test.

A target is a function of bytes that raises where the parser is at fault. What a caller is to blame
for, it catches itself.
"""

import argparse
import gc
import importlib.util
import random
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

T = TypeVar("T")

LONGEST = 8192  # bytes of an input
SECONDS, MEGABYTES = 20, 4096  # that one input may take
ODD = (0, 1, 127, 128, 254, 255)


@dataclass(frozen=True)
class Target:
    """A parser."""

    name: str
    check: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    """Sound inputs, from which others are made."""
    packages: tuple[str, ...]
    """Whose coverage guides the search."""


def faults(target: Target, count: int) -> list[str]:
    """What fails of the seeds, and of so many inputs made of them, which are the same each time."""
    seeds, chance, found = target.seeds(), random.Random(target.name), []
    made = (mutated(chance.choice(seeds), chance, seeds) for _ in range(count))
    for data in chain(seeds, made):
        try:
            target.check(data)
        except Exception as error:
            found.append(f"{error!r} of {data!r}")
    return found


def mutated(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """Some bytes replaced, half of the time only among the first; or cut, doubled, or joined."""
    changed = bytearray(data)
    span = len(data) if chance.random() < 0.5 else min(300, len(data))
    for _ in range(chance.randint(0, 8) if span else 0):
        changed[chance.randrange(span)] = chance.choice((*ODD, chance.randrange(256)))
    at, more = (sorted(chance.choices(range(len(changed) + 1), k=2)) for _ in range(2))
    match chance.randrange(8):
        case 0:
            del changed[at[0] : at[1]]
        case 1:
            changed[more[0] : more[0]] = changed[at[0] : at[1]]
        case 2:
            del changed[at[0] :]
        case 3:
            other = chance.choice(others)
            changed[at[0] :] = other[chance.randrange(len(other) + 1) :]
    return bytes(changed[: 8 * LONGEST])


def main(target: Target) -> None:
    """A target as a command. It ends with an error at the first fault, whose input is kept."""
    parser = argparse.ArgumentParser(description=f"Fuzzes {target.name}, guided by coverage.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--faults", type=Path, default=Path(), help="where such inputs are kept")
    parser.add_argument("inputs", nargs="*", type=Path, help="only these are checked")
    arguments = parser.parse_args()
    for file in arguments.inputs:
        target.check(file.read_bytes())
    if arguments.inputs:
        return
    if importlib.util.find_spec("atheris") is None:
        sys.exit("fuzzing needs atheris: pip install -r tests/fuzz/requirements.txt")
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(target.seeds()):
            Path(corpus, f"{number}").write_bytes(data)
        _fuzz(target, arguments.minutes, [corpus, f"-artifact_prefix={arguments.faults}/"])


def _fuzz(target: Target, minutes: float, more: list[str]) -> None:
    """Never comes back: libFuzzer ends the process."""
    import atheris

    for function in _functions(target.packages):
        atheris.instrument_func(function)
    limits = [f"-max_len={LONGEST}", f"-timeout={SECONDS}", f"-rss_limit_mb={MEGABYTES}"]
    end = [f"-max_total_time={round(60 * minutes)}", "-print_final_stats=1", "-close_fd_mask=0"]
    atheris.Setup([target.name, *limits, *end, *more], target.check)
    atheris.Fuzz()


def _functions(packages: tuple[str, ...]) -> Iterator[FunctionType]:
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and (each.__module__ or "").startswith(packages):
            yield each


class Choices:
    """Values of all kinds out of bytes; when these are at an end, the least of each kind."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def taken(self, count: int) -> bytes:
        """The next bytes, as many as there are."""
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, most: int) -> int:
        """From 0 to `most`."""
        found = int.from_bytes(self.taken((most.bit_length() + 7) // 8), "big")
        return found % (most + 1)

    def flag(self) -> bool:
        return bool(self.number(1))

    def rest(self) -> bytes:
        return self.taken(len(self._data))

    def one_of(self, values: Sequence[T]) -> T:
        return values[self.number(len(values) - 1)]

    def mapping(self, words: Sequence[str], depth: int = 3) -> dict[str, Any]:
        """Some keys with values of any kind."""
        return {self.one_of(words): self.value(words, depth) for _ in range(self.number(8))}

    def value(self, words: Sequence[str], depth: int) -> Any:
        """What JSON can say, and numbers that it can't.

        Args:
            words: that keys and texts are taken from.
            depth: how many lists and mappings may lie in each other.
        """
        if depth and self.number(3) == 0:
            return [self.value(words, depth - 1) for _ in range(self.number(5))]
        if depth and self.number(3) == 0:
            return self.mapping(words, depth - 1)
        kinds: tuple[Callable[[], Any], ...] = (
            lambda: None,
            self.flag,
            lambda: self.number(300) - 10,
            lambda: self.number(2**80) * (-1) ** self.number(1),
            lambda: struct.unpack("d", self.taken(8).ljust(8, b"\0"))[0],
            lambda: self.one_of(words),
            lambda: self.taken(self.number(40)).decode("utf-8", "surrogateescape"),
        )
        return self.one_of(kinds)()
