"""config.yaml: a configuration, or an error that names the file and what is wrong."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

import fuzzing
from sakuga_core.config.check import missing_levels, unknown_networks
from sakuga_core.config.file import load_config
from sakuga_core.config.schema import Config
from sakuga_core.errors import ConfigError

FOLDER = tempfile.TemporaryDirectory(prefix="sakuga-config-")
FILE = Path(FOLDER.name, "config.yaml")
PROJECT = Path(__file__).parents[2]


def _names(block: type[BaseModel]) -> Iterator[str]:
    for name, field in block.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _names(field.annotation)


WORDS = [
    *dict.fromkeys(_names(Config)),
    "providers",
    "image",
    "upscale",
    "model",
    "u2net",
    "*a",
    "",
]


def check(data: bytes) -> None:
    """YAML, or what says which values to take."""
    FILE.write_bytes(data if data[:1] != b"\xff" else _text(data[1:]))
    try:
        config = load_config(FILE)
    except ConfigError as error:
        _refused(str(error))
        return
    assert load_config(FILE) == config
    assert all(map(str, config.model_dump(mode="json")))
    for path, problem in (*unknown_networks(config, {}), *missing_levels(config, {})):
        assert path in problem


def _refused(message: str) -> None:
    assert str(FILE) in message
    assert "Traceback" not in message


def _text(data: bytes) -> bytes:
    return json.dumps(fuzzing.Choices(data).mapping(WORDS, 5)).encode()


def seeds() -> list[bytes]:
    blocks = {
        "providers": {"image": {"upscale": {"model": "aura-sr-v2", "scale": 2}}},
        "server": {"networks": {"u2net": {"batch": 4}}, "preload": ["u2net"], "url": "auto"},
        "limits": {"input_pixels": 99, "tile_size": 64},
        "gateway": {"port": 1, "keys": ["a"], "jobs": "sqlite:///a"},
    }
    merged = b"a: &a {x: 1}\nserver: {<<: *a, retries: 1}\nrembg: &r {model: u2net}\naurasr: *r\n"
    odd = b"a: 2001-99-99\nb: !!int x\nc: !!bool x\nd: !!timestamp x\ne: !!binary x\nf: 1:99\n"
    bomb = b"".join(b"%c: &%c {x: *%c, y: *%c}\n" % (n + 1, n + 1, n, n) for n in range(97, 121))
    texts = [(PROJECT / "config.yaml").read_bytes(), json.dumps(blocks).encode(), merged, odd]
    chosen = [b"\xff" + bytes((n * 37 + at) % 256 for at in range(64)) for n in range(8)]
    return [*texts, b"a: &a {x: 1}\n" + bomb, b"a: &a [*a]", b"a: &a {<<: *a}", *chosen]


TARGET = fuzzing.Target("config", check, seeds, ("sakuga_core.config", "sakuga_core.options"))

if __name__ == "__main__":
    fuzzing.main(TARGET)
