"""What a command will do: each picture, where its result goes, and what is left out. Nothing is
written here, and no server is asked."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sakuga.files import urls
from sakuga.files.discovery import discover
from sakuga.files.found import Found, Item
from sakuga.files.outputs import Output, PlanOptions, output_of
from sakuga.files.result_archives import ResultArchive, entries_of
from sakuga.files.results import Result, results, settled
from sakuga.files.sources import LocalFile, Source
from sakuga.files.targets import FileTarget, Originals, Target
from sakuga_core.errors import BadInput
from sakuga_core.formats import FileFormat


@dataclass(frozen=True)
class Task:
    """A picture to process."""

    source: Source
    format: FileFormat | None
    """Of the picture; None: unknown."""
    target: Target | None
    """None: nothing is written."""


@dataclass
class Plan:
    """What a command will do."""

    found: Found
    tasks: list[Task]
    format: str | None = None
    """That the output's name says."""
    existing: list[str] = field(default_factory=list)
    """Results that are there already, and stay."""
    archives: list[ResultArchive] = field(default_factory=list)

    def close(self) -> None:
        """Removes unfinished archives."""
        for archive in self.archives:
            archive.give_up()


def plan_reading(inputs: Sequence[str], most: int) -> Plan:
    """A plan that writes nothing.

    Args:
        inputs: see `plan`.
        most: bytes of a page of an archive, at most.

    Raises:
        BadInput, OSError: see `plan`.
    """
    found = discover([urls.local_path(text) for text in inputs], (), most)
    tasks = [task for item in found.items for task in _reading(item)]
    return Plan(found, tasks)


def _reading(item: Item) -> list[Task]:
    if item.archive:
        return [Task(page, page.format, None) for page in item.archive.pages]
    return [Task(item.source, item.format, None)]


def plan(inputs: Sequence[str], output: str | None, options: PlanOptions) -> Plan:
    """A plan that writes a result for each picture.

    Args:
        inputs: paths, addresses, or `-` for standard input, which is read now.
        output: the value of `-o`; None: it wasn't given.
        options: the rest.

    Raises:
        BadInput: results can't be written as they should: an input isn't there, two results would
            get one name, one would replace a picture, or is there already, …
        OSError: an address can't be reached.
    """
    inputs = [urls.local_path(text) for text in inputs]
    where = output_of(output, inputs)
    options = _with_format(where, options)
    found = discover(inputs, where.excluded, options.most)
    originals = _originals(found.items)
    left, existing = settled(results(found.items, where, options), originals, where.store, options)
    somewhere = os.path.join(where.folder, "result")
    where.store.check([path for result in left for path in result.paths or (somewhere,)])
    made = Plan(found, [], where.format.name if where.format else None, existing)
    for result in left:
        if result.is_archive:
            _add_archive(made, result, where, options)
        else:
            _add_picture(made, result, where, options, originals)
    return made


def _with_format(where: Output, options: PlanOptions) -> PlanOptions:
    """
    Raises:
        BadInput: the output's name and the flag say different formats.
    """
    if where.format is None:
        return options
    flag = options.format_flag
    if flag not in (None, "auto", where.format.name):
        raise BadInput(
            f"-o {where.text} means {where.format.title}, --format {flag} another format; "
            "allowed: one of them, or both the same"
        )
    return replace(options, format=where.format.name)


def _originals(items: Sequence[Item]) -> Originals:
    found = Originals()
    for item in items:
        if item.source.key is not None:
            found.items[item.source.key] = item
        if isinstance(item.source, LocalFile):
            found.names[item.source.identity] = item.source.name
    return found


def _add_picture(
    made: Plan, result: Result, where: Output, options: PlanOptions, originals: Originals
) -> None:
    (item,) = result.items
    target = FileTarget(
        where.store,
        result.template,
        options.formats(item.format),
        originals,
        options.overwrite,
        result.paths,
    )
    made.tasks.append(Task(item.source, item.format, target))


def _add_archive(made: Plan, result: Result, where: Output, options: PlanOptions) -> None:
    """The tasks of an archive; one whose pages can't be named fails alone."""
    (path,) = result.paths
    try:
        archive, entries = entries_of(result.items, where.store, path, options)
    except BadInput as error:
        made.found.fail(result.items[0].source.name, error)
        return
    made.archives.append(archive)
    made.tasks += [Task(page.source, page.format, target) for page, target in entries]
