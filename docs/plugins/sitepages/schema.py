"""What a JSON Schema allows, in words, and defaults as they are written in YAML."""

import json
from collections.abc import Mapping
from typing import Any

from sitepages.markdown import NONE, code, codes, text

Schema = Mapping[str, Any]
NOTHING: Schema = {}

_WORDS = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "object": "a mapping",
    "null": "nothing",
}
_FORMATS = {"path": "a path", "binary": "a file", "uri": "a URL", "date-time": "a time"}
_ENDS = (
    ("minimum", "from"),
    ("exclusiveMinimum", "over"),
    ("maximum", "to"),
    ("exclusiveMaximum", "below"),
)


def values(schema: Schema, definitions: Schema = NOTHING) -> str:
    """What a schema allows, in Markdown.

    Args:
        schema: of a value.
        definitions: what its references name.
    """
    if isinstance(examples := schema.get("examples"), list) and isinstance(examples[0], str):
        return text(", ".join(each.partition("; ")[0] for each in examples))
    if "$ref" in schema:
        return values(definitions.get(schema["$ref"].rpartition("/")[2], NOTHING), definitions)
    if kinds := schema.get("anyOf") or schema.get("oneOf"):
        found = [values(kind, definitions) for kind in kinds if kind.get("type") != "null"]
        return ", or ".join(dict.fromkeys(found))
    if "enum" in schema or "const" in schema:
        return codes(map(str, schema.get("enum") or [schema["const"]]))
    return _of_type(schema, definitions)


def _of_type(schema: Schema, definitions: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return ", or ".join(values({**schema, "type": each}) for each in kind if each != "null")
    if kind == "array":
        if several := schema.get("prefixItems"):
            return f"[{', '.join(values(each, definitions) for each in several)}]"
        return f"a list of {values(schema.get('items', NOTHING), definitions) or 'values'}"
    word = _FORMATS.get(schema.get("format", ""), _WORDS.get(str(kind), ""))
    ends = [f"{say} {_number(schema[end])}" for end, say in _ENDS if end in schema]
    return " ".join([word, *ends]) if word else ""


def _number(value: float) -> str:
    """A bound or a default, with no more digits than it needs."""
    return f"{value:g}" if isinstance(value, float) and value < 1e6 else str(value)


def default(value: Any) -> str:
    """A default in Markdown, as YAML has it; of nothing a dash."""
    if value is None:
        return NONE
    if isinstance(value, float):
        return code(_number(value))
    return code(value if isinstance(value, str) else json.dumps(value))
