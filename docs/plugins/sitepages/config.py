"""The page of config.yaml, from its schema."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sakuga_core.config.block import Block
from sakuga_core.config.restart import needs_restart
from sakuga_core.config.schema import Config, json_schema
from sakuga_core.config.server import Server
from sitepages.environment import INTERNAL, PUBLIC, Variable
from sitepages.markdown import code, page, sentence, slug, table, text
from sitepages.schema import default, values

ABOUT = """# config.yaml

One file sets the model of each action, its options, and how server and gateway run. Every setting
is optional. The priority is: flag or argument, then the environment, then config.yaml, then the
default. An action's block overrides its family's, and a request's options override both.

Running servers, gateways and clients follow edits of the file, but for the settings that say *needs
a restart*. `sakuga config check` validates the file, `sakuga config show` prints every setting in
effect and its origin, and `sakuga config schema` prints the JSON Schema, by which editors complete
and check it."""


def config_page(root: Path) -> str:
    """Every setting by its block, the environment, and the file itself."""
    listing = (root / "config.yaml").read_text(encoding="utf-8")
    return page(
        ABOUT,
        *(_section(path, kind) for path, kind in blocks(Config)),
        "## Environment variables\n",
        _variables(PUBLIC),
        "A server sets these for the processes that it starts:",
        _variables(INTERNAL),
        "## The file of this repository\n",
        f"```yaml\n{listing}```",
    )


def blocks(kind: type[Block], path: str = "") -> Iterator[tuple[str, type[Block]]]:
    """Each block that has settings of its own, with its path."""
    inner = {name: of for name in kind.model_fields if (of := _block(kind, name))}
    if len(inner) < len(kind.model_fields):
        yield path, kind
    for name, of in inner.items():
        yield from blocks(of, f"{path}.{name}".lstrip("."))


def _block(kind: type[Block], name: str) -> type[Block] | None:
    annotation: Any = kind.model_fields[name].annotation
    is_block = isinstance(annotation, type) and issubclass(annotation, Block)
    return annotation if is_block else None


def _section(path: str, kind: type[Block]) -> str:
    head = ("setting", "values", "default", "description")
    about = text(" ".join((kind.__doc__ or "").split()))
    made = [f"## {path} {{#{slug(path)}}}", about, table(head, _rows(path, kind))]
    for name, of in _items(kind):
        made += [f"### Of each of {path}.{name}", text(" ".join((of.__doc__ or "").split()))]
        made += [table(head, _rows(f"{path}.{name}.*", of))]
    return page(*made)


def _rows(path: str, kind: type[Block]) -> Iterator[tuple[str, ...]]:
    schema = json_schema()
    properties = schema["$defs"][kind.__name__]["properties"]
    block = path.rpartition(".")[2]
    usual = Config().options_for(block) if path == f"providers.image.{block}" else {}
    for name, field in kind.model_fields.items():
        if _block(kind, name):
            continue
        whole, found = f"{path}.{name}", properties[name]
        ends = " *Needs a restart.*" if needs_restart(whole) else ""
        yield (
            code(name, whole.replace("*", "each")),
            values(found, schema["$defs"]),
            "required" if field.is_required() else default(usual.get(name, _default(field))),
            sentence(" ".join(_description(found, name).split())) + ends,
        )


def _description(schema: dict[str, Any], name: str) -> str:
    if described := schema.get("description"):
        return str(described)
    return f"as `server.{name}`" if name in Server.model_fields else name.replace("_", " ")


def _default(field: Any) -> Any:
    value = field.get_default(call_default_factory=True)
    return str(value) if isinstance(value, Path) else value


def _items(kind: type[Block]) -> Iterator[tuple[str, type[Block]]]:
    """The blocks of which a setting has a list, or one for each name."""
    for name, field in kind.model_fields.items():
        for of in getattr(field.annotation, "__args__", ()):
            if isinstance(of, type) and issubclass(of, Block):
                yield name, of


def _variables(variables: tuple[Variable, ...]) -> str:
    return table(
        ("variable", "meaning"), [(code(v.name, v.name), text(v.meaning)) for v in variables]
    )
