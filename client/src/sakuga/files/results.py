"""Where each result goes, by what `-o` means, and that it replaces nothing it shouldn't."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sakuga.files.found import Item
from sakuga.files.naming import (
    FIELDS,
    SIZES,
    Template,
    check_length,
    check_pattern,
    escaped,
    stem,
    stems,
    suffix_of,
)
from sakuga.files.outputs import Output, PlanOptions
from sakuga.files.stores import Store
from sakuga.files.targets import Originals
from sakuga_core.errors import BadInput

ADVICE = "; name the folders that they are in, or give -o a pattern with {parent}"
SHOWN = 3  # names in a message that stands for many


@dataclass(frozen=True)
class Result:
    """A file to write."""

    items: tuple[Item, ...]
    """What it is made of: one picture or archive, or everything for an archive that `-o` names."""
    template: Template
    paths: tuple[str, ...]
    """That it may get, by its format; none where only the size of the result will tell."""
    is_archive: bool


def results(items: Sequence[Item], output: Output, options: PlanOptions) -> list[Result]:
    """A result for each item; for an output that is an archive, one of all.

    Raises:
        BadInput: two of them would get one name, or a pattern can't be filled in.
    """
    if output.kind == "archive":
        template = Template(output.pattern, {})
        return [Result(tuple(items), template, (output.pattern,), True)] if items else []
    if output.kind == "standard":
        _check_single(items)
    templates = list(_templates(items, output, options))
    made = [_result(*pair, output, options) for pair in zip(items, templates, strict=True)]
    _check_distinct(made, output)
    return made


def _check_single(items: Sequence[Item]) -> None:
    """
    Raises:
        BadInput: standard output can't take that.
    """
    if len(items) > 1 or any(item.archive for item in items):
        raise BadInput("-o - is standard output, which takes one picture; name a folder")


def _result(item: Item, template: Template, output: Output, options: PlanOptions) -> Result:
    """
    Raises:
        BadInput: its name is known only once it is done, and that is too late.
    """
    late = (output.fields & set(SIZES)) - set(options.sizes)
    if late and (item.archive or options.skip_existing):
        known = [name for name in FIELDS if name not in SIZES or name in options.sizes]
        reason = "an archive has none" if item.archive else "--skip-existing has to know it before"
        raise BadInput(
            f"-o {output.text} has {{{min(late)}}}, which is known only when a picture is done: "
            f"{reason}; allowed: {', '.join(known)}"
        )
    paths = () if late else tuple(map(template.path, _suffixes(item, options)))
    return Result((item,), template, paths, item.archive is not None)


def _suffixes(item: Item, options: PlanOptions) -> tuple[str, ...]:
    if item.archive:
        return (item.place.suffix,)
    return tuple(map(suffix_of, options.formats(item.format)))


def _templates(items: Sequence[Item], output: Output, options: PlanOptions) -> Iterator[Template]:
    """The name of each item's result."""
    if output.kind == "folder":
        places = [(item.place, _suffixes(item, options)) for item in items]
        keep = {i for i, item in enumerate(items) if _is_beside(item, output)}
        for path in stems(places, keep, ADVICE):
            yield Template(escaped(os.path.join(output.folder, path)) + ".{ext}", {})
        return
    for index, item in enumerate(items, 1):
        template = Template(output.pattern, _values(item, index, options))
        if index == 1:
            check_pattern(template, _suffixes(item, options)[0])
        yield template


def _is_beside(item: Item, output: Output) -> bool:
    """Whether its result will be in the folder that it is in itself."""
    if item.source.key is None:
        return False
    folder = os.path.join(output.folder, *item.place.parent.parts)
    return output.store.folder_key(folder) == os.path.dirname(item.source.key)


def _values(item: Item, index: int, options: PlanOptions) -> dict[str, object]:
    """The fields of a pattern that are known before a picture is done."""
    return {
        "stem": stem(item.place.name),
        "name": item.place.name,
        "parent": item.source.parent,
        "index": index,
        "action": options.action,
        "model": options.model,
        **options.sizes,
    }


def _check_distinct(made: Sequence[Result], output: Output) -> None:
    """
    Raises:
        BadInput: a pattern gives two results one name.
    """
    owners: dict[str, Result] = {}
    for result in made:
        for path in set(result.paths):
            if other := owners.get(path):
                first, second = other.items[0].source.name, result.items[0].source.name
                raise BadInput(
                    f"-o {output.text} calls the results of {first} and {second} both {path}; "
                    "add {name}, {parent} or {index}"
                )
            owners[path] = result


def settled(
    made: Sequence[Result], originals: Originals, store: Store, options: PlanOptions
) -> tuple[list[Result], list[str]]:
    """The results to make, and the names of those that are there already and stay.

    Pictures in a folder that are the results of others were made by an earlier run: they aren't
    processed again.

    Raises:
        BadInput: a result would replace a picture, or is there, and nothing says what to do.
    """
    there: dict[int, str] = {}
    earlier: set[str] = set()
    for i, result in enumerate(made):
        for path in result.paths:
            _check_original(result, path, originals, store)
            if (key := store.key(path)) in originals.items:
                earlier.add(key)
            if store.exists(path):
                there[i] = path
    rest = [i for i, result in enumerate(made) if result.items[0].source.key not in earlier]
    existing = [there[i] for i in rest if i in there]
    _check_existing(existing, earlier, store, options)
    names = [store.name(path) for path in existing] if options.skip_existing else []
    left = [made[i] for i in rest if not (options.skip_existing and i in there)]
    for result in left:
        for path in result.paths:
            check_length(path)
    return left, names


def _check_original(result: Result, path: str, originals: Originals, store: Store) -> None:
    """
    Raises:
        BadInput: it would replace a picture that the command names, or one that a link leads to.
    """
    other = originals.items.get(store.key(path))
    if other and (other.is_named or other in result.items):
        raise BadInput(
            f"the result of {result.items[0].source.name} would replace {store.name(path)}, "
            "which is a picture to process; name another output"
        )
    if other is None and (linked := originals.at(store, path)):
        raise BadInput(
            f"{store.name(path)} is a link to {linked}, a picture to process; remove the link, or "
            "name another output"
        )


def _check_existing(
    existing: Sequence[str], earlier: set[str], store: Store, options: PlanOptions
) -> None:
    """
    Raises:
        BadInput: they may not be replaced, and not be left as they are.
    """
    if not existing or options.skip_existing:
        return
    names = ", ".join(store.name(path) for path in existing[:SHOWN])
    more = f" and {len(existing) - SHOWN} more" if len(existing) > SHOWN else ""
    if not options.overwrite:
        raise BadInput(
            f"results already exist: {names}{more}; --skip-existing keeps them, "
            "--overwrite replaces them"
        )
    if among := [path for path in existing if store.key(path) in earlier]:
        raise BadInput(
            f"{store.name(among[0])} is among the pictures to process, so it isn't replaced; "
            "remove it, or name another folder"
        )
