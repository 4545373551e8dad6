"""Options of every action, as JSON and as fields of a form: parsed, or refused in one sentence."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import fuzzing
from sakuga_core.actions import ACTIONS, Action
from sakuga_core.errors import LONGEST, BadOption, SakugaError, from_message
from sakuga_core.options import overridden, parse_options
from sakuga_gateway import requests
from sakuga_gateway.problems import Refusal

MASK = "iVBORw0KGgo="
EXAMPLES: tuple[Mapping[str, Any], ...] = (
    {"scale": 2.5, "model": "realesr-animevideov3", "format": "JPG", "quality": 90},
    {"width": 100, "height": 50, "tile_size": 64, "denoise_level": 3, "overlap": "reference"},
    {"max_side": 4000, "denoise": 0.3, "lossless": True, "animation": "first"},
    {"megapixels": 1e3, "keep_metadata": False, "denoise_strength": None},
    {"background_color": [1, 2, 3, 255], "alpha_matting": True, "mask": MASK, "only_mask": True},
    {"background_color": "#fff", "alpha_matting_erode_size": 3, "preprocess": "letterbox"},
    {
        "regions": [[1, 2, 3, 4], {"box": [0, 0, 9, 9], "kind": "jpeg", "grid": [7, 0]}],
        "mask": MASK,
    },
    {"detector": "banding", "inpaint": "migan", "result": "regions", "regions": [{"score": 0.5}]},
    {"options": '{"scale": 2}', "regions": ["1,2,3,4", "5,6,7,8"], "restore": "false"},
)


NAMES = [name for action in ACTIONS.values() for name in action.options.model_fields]
WORDS = sorted({*NAMES, "denoise", "box", "kind", "score", "method", "grid", "user", "raw", "all"})
WORDS += ["#12f", "AAAA", "1,2,3,4", "[[1,2,3,4]]", "{}", "true", "1e999", "٣", "\ud800", "\0", ""]


def check(data: bytes) -> None:
    """JSON, or what says which values to take."""
    for action in ACTIONS.values():
        _check(action, _values(data))


def _values(data: bytes) -> dict[str, Any]:
    if data[:1] != b"{":
        return fuzzing.Choices(data).mapping(WORDS)
    with suppress(ValueError, RecursionError):  # as `OPTIONS` of a request is read
        if isinstance(values := json.loads(data), dict):
            return values
    return {}


def _check(action: Action, values: dict[str, Any]) -> None:
    try:
        parsed = parse_options(action.options, overridden(values))
    except BadOption as error:
        _refused(error)
    else:
        again = json.loads(parsed.model_dump_json(exclude_unset=True))
        assert parse_options(action.options, again) == parsed
    with suppress(Refusal, BadOption):
        items = [(str(name), str(value)) for name, value in values.items()]
        requests.options_of(action, requests._values(items))


def _refused(error: SakugaError) -> None:
    message = error.to_message()
    assert len(message) <= LONGEST
    assert "Traceback" not in message
    assert isinstance(from_message(message), BadOption), message


def seeds() -> list[bytes]:
    texts = [json.dumps(values).encode() for values in EXAMPLES]
    return [*texts, *(bytes((number * 37 + at) % 256 for at in range(64)) for number in range(8))]


TARGET = fuzzing.Target(
    "options",
    check,
    seeds,
    ("sakuga_core.options", "sakuga_core.errors", "sakuga_gateway.requests"),
)

if __name__ == "__main__":
    fuzzing.main(TARGET)
