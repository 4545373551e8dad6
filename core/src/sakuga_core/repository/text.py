"""A model's configuration as the text of a config.pbtxt.

Protobuf's text format, written from plain dicts, so that whoever edits config.yaml needs neither
protobuf nor Triton's message. The tests parse each file with Triton's own `ModelConfig`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

# Fields of `ModelConfig` that are maps: in text, a message with `key` and `value` an entry.
MAPS = {"parameters", "inputs", "input_map", "output_map", "cc_model_filenames"}
ENUM = re.compile(r"(TYPE|KIND)_[A-Z0-9]+")


def as_text(model: Mapping[str, Any]) -> str:
    """A model's configuration: strings, numbers, booleans, lists, and mappings of these."""
    return "".join(f"{line}\n" for line in _fields(model))


def _fields(message: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for name, value in message.items():
        for each in _occurrences(name, value):
            if isinstance(each, Mapping):
                yield f"{indent}{name} {{"
                yield from _fields(each, f"{indent}  ")
                yield f"{indent}}}"
            else:
                yield f"{indent}{name}: {_scalar(each)}"


def _occurrences(name: str, value: Any) -> list[Any]:
    """A repeated field stands once for each of its values."""
    if name in MAPS:
        return [{"key": key, "value": each} for key, each in value.items()]
    return list(value) if isinstance(value, list | tuple) else [value]


def _scalar(value: Any) -> str:
    if isinstance(value, str) and ENUM.fullmatch(value):
        return value
    return json.dumps(value)  # also escapes what isn't ASCII, as \uXXXX, which protobuf reads
