"""Picture files that are damaged, or made to do harm: as many as one likes, by a seed."""

import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

import fuzzing
from animations import apng, fresh_checksums, gif, indexed, ops, webp
from bad_files import MADE
from bombs import claimed, frames, interlaced, metadata, pixels, scans
from impostors import cloaked, marked, others, polyglot
from pictures import chunk


class HostileFile(NamedTuple):
    """A file, and what was done to it."""

    name: str
    data: bytes


def files(count: int, seed: int) -> Iterator[HostileFile]:
    """So many, the same for the same seed; of each kind one after the other."""
    sound = sound_files()
    kinds = list(_kinds(sound).items())
    for number in range(count):
        name, made = kinds[number % len(kinds)]
        yield HostileFile(f"{number}-{name}", made(Random(f"{seed}-{number}")))


def sound_files() -> dict[str, bytes]:
    """What is damaged: small files of every format, still and animated."""
    drawings = indexed(ops(1, 3, (30, 20)), 1)
    moving = {
        "apng": apng(ops(2, 3, (30, 20)), 30, 20),
        "gif-animated": gif(drawings, 30, 20),
        "webp-animated": webp(ops(3, 3, (30, 20), step=2, disposals=(0, 1)), 30, 20),
    }
    return {name: make() for name, make in MADE.items()} | moving


Kind = Callable[[Random], bytes]


def _kinds(sound: dict[str, bytes]) -> dict[str, Kind]:
    """Each kind by its name."""

    def of_sound(change: Callable[[bytes, Random], bytes]) -> Kind:
        return lambda chance: change(sound[chance.choice(sorted(sound))], chance)

    everything = list(sound.values())
    return {
        "truncated": of_sound(_truncated),
        "flipped": of_sound(_flipped),
        "flipped-head": of_sound(lambda data, chance: _flipped(data, chance, 80)),
        "changed": of_sound(lambda data, chance: fuzzing.mutated(data, chance, everything)),
        "sealed": lambda chance: _sealed(sound, chance),
        "grown": of_sound(_grown),
        "zeroed": of_sound(_zeroed),
        "numbers": of_sound(_numbers),
        "claimed": lambda chance: claimed(chance, sound),
        "polyglot": lambda chance: polyglot(chance, sound),
        "cloaked": cloaked,
        "others": others,
        "marked": marked,
        "pixels": pixels,
        "frames": frames,
        "metadata": metadata,
        "more-metadata": metadata,
        "scans": scans,
        "interlaced": interlaced,
        "parts": lambda chance: _parts(sound, chance),
    }


def _truncated(data: bytes, chance: Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _flipped(data: bytes, chance: Random, most: int | None = None) -> bytes:
    """One bit or several."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 3, 30))):
        changed[chance.randrange(min(len(data), most or len(data)))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _sealed(sound: dict[str, bytes], chance: Random) -> bytes:
    """A PNG that was changed, with checksums that are right."""
    name = chance.choice(("png", "png-16", "png-palette", "apng"))
    data = fuzzing.mutated(sound[name], chance, [sound[name]])
    try:
        return fresh_checksums(sound[name][:8] + data[8:])
    except struct.error:  # a chunk ends behind the file
        return data


def _grown(data: bytes, chance: Random) -> bytes:
    """With the same piece again and again."""
    start, end = sorted(chance.randrange(len(data)) for _ in range(2))
    return data[:end] + data[start:end][:400] * chance.choice((2, 50, 500)) + data[end:]


def _zeroed(data: bytes, chance: Random) -> bytes:
    start = chance.randrange(4, len(data))
    length = min(chance.choice((4, 60, 2_000)), len(data) - start)
    return data[:start] + chance.choice((b"\0", b"\xff")) * length + data[start + length :]


def _numbers(data: bytes, chance: Random) -> bytes:
    """With the least and the largest numbers at places where there may be some."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        form = chance.choice(("<H", ">H", "<I", ">I"))
        at = chance.randrange(4, min(len(data), 400) - 4)
        most = 256 ** struct.calcsize(form) - 1
        struct.pack_into(form, changed, at, chance.choice((0, 1, most, most // 2, most // 2 + 1)))
    return bytes(changed)


def _parts(sound: dict[str, bytes], chance: Random) -> bytes:
    """The chunks of a PNG in another order, doubled, or left out."""
    name, parts = chance.choice(("png", "png-palette", "apng")), []
    data, at = sound[name], 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        parts.append(chunk(kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    chosen = chance.choices(parts, k=len(parts) + chance.randint(-1, 3))
    return data[:8] + b"".join((*parts[: chance.randrange(3)], *chosen))
