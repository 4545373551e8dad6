"""A folder or bucket of pictures through Ray Data into a running server; see README.md beside this.

    python examples/ray_data.py s3://bucket/pages s3://bucket/pages-2x --url triton:8001 \
        --action upscale --option scale=2 --workers 4 --in-flight 8
"""

import argparse
import json
import math
import os
import posixpath
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import ray
import ray.data
from pyarrow import fs

from sakuga import Config, SakugaError, connect_sync
from sakuga_core import actions
from sakuga_core.formats import BY_NAME, BY_SUFFIX
from sakuga_core.options import parse_options

MOST_BLOCKS = 10_000  # of pictures, each read, processed and, should a node fail, redone as a whole
CPUS = 0.25  # that a reader or a worker reserves: both wait for others most of the time
FAILURES = "failures.jsonl"  # in the output: a JSON object for each picture that failed

Batch = dict[str, npt.NDArray[np.object_]]  # columns by name


@dataclass(frozen=True)
class Place:
    """A folder, or a part of a bucket.

    Args:
        uri: a path, or what pyarrow knows: s3://bucket/prefix, gs://…, and others.
    """

    uri: str

    @property
    def resolved(self) -> tuple[fs.FileSystem, str]:
        """Its file system, and its path there."""
        if "://" in self.uri:
            system, path = fs.FileSystem.from_uri(self.uri)
            return system, path.rstrip("/")
        return fs.LocalFileSystem(), os.path.abspath(self.uri)

    def names(self) -> set[str]:
        """Of all files below it, with their folders."""
        system, path = self.resolved
        found = system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
        return {posixpath.relpath(each.path, path) for each in found if each.is_file}

    def write(self, name: str, data: bytes) -> None:
        """Writes a file: whole, or not at all. (An object of a bucket always is.)"""
        system, path = self.resolved
        target = posixpath.join(path, name)
        if not isinstance(system, fs.LocalFileSystem):
            with system.open_output_stream(target) as file:
                file.write(data)
            return
        folder, base = posixpath.split(target)
        system.create_dir(folder, recursive=True)
        beside = posixpath.join(folder, f".{base}.part")
        with system.open_output_stream(beside) as file:
            file.write(data)
        system.move(beside, target)


class Worker:
    """An actor of Ray: one connection, and some requests over it at a time."""

    def __init__(
        self,
        source: Place,
        output: Place,
        url: str,
        action: str,
        options: Mapping[str, Any],
        in_flight: int,
    ) -> None:
        self.root = source.resolved[1]
        self.output, self.action, self.options = output, action, options
        self.images = connect_sync(Config(), url=url)
        self.threads = ThreadPoolExecutor(in_flight)

    def __call__(self, batch: Batch) -> Batch:
        """Processes some pictures, and writes their results.

        Args:
            batch: `path` and `bytes` of each.

        Returns:
            `name` of each, and `error`, which is empty where there was none.
        """
        names = [posixpath.relpath(path, self.root) for path in batch["path"]]
        errors = self.threads.map(self.process, names, batch["bytes"])
        return {"name": np.array(names, object), "error": np.array(list(errors), object)}

    def process(self, name: str, data: bytes) -> str:
        """Processes one picture; what went wrong, in words."""
        try:
            result = self.images.process(data, self.action, self.options)
            self.output.write(target(name, self.options["format"]), result)
        except (SakugaError, OSError) as error:
            return f"{type(error).__name__}: {error}"
        return ""


def target(name: str, format: str) -> str:
    """The name of a result: its picture's, with the format's suffix if it has another one."""
    suffixes = BY_NAME[format].suffixes
    return name if name.lower().endswith(suffixes) else name + suffixes[0]


def pictures(source: Place, output: Place) -> Iterator[str]:
    """Names of the pictures of a place; those that begin with a dot aren't any, nor are results."""
    inside = posixpath.relpath(output.resolved[1], source.resolved[1]) + "/"
    for name in sorted(source.names()):
        base = posixpath.basename(name)
        known = posixpath.splitext(base)[1].lower() in BY_SUFFIX
        if known and not base.startswith(".") and not name.startswith(inside):
            yield name


def processed(arguments: argparse.Namespace, todo: list[str]) -> Iterator[dict[str, str]]:
    """Processes pictures; yields name and error of each, in any order."""
    system, root = arguments.source.resolved
    dataset = ray.data.read_binary_files(
        [posixpath.join(root, name) for name in todo],
        filesystem=system,
        include_paths=True,
        ignore_missing_paths=True,
        num_cpus=CPUS,
        override_num_blocks=min(MOST_BLOCKS, math.ceil(len(todo) / arguments.in_flight)),
    )
    names = ("source", "output", "url", "action", "options", "in_flight")
    yield from dataset.map_batches(
        Worker,
        fn_constructor_kwargs={name: getattr(arguments, name) for name in names},
        batch_size=arguments.in_flight,
        compute=ray.data.ActorPoolStrategy(size=arguments.workers),
        num_cpus=CPUS,
    ).iter_rows()


def parsed(words: list[str] | None) -> argparse.Namespace:
    """The arguments, with `options` as those of a request."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", type=Place, help="folder or bucket of pictures")
    parser.add_argument("output", type=Place, help="folder or bucket of results")
    parser.add_argument("--url", default="localhost:8001", help="host:port of the server's gRPC")
    parser.add_argument("--action", default="upscale", choices=[*actions.ACTIONS])
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    formats = [row.name for row in BY_NAME.values() if row.writes]
    parser.add_argument("--format", default="png", choices=formats, help="of the results")
    parser.add_argument("--workers", type=int, default=2, help="actors of Ray")
    parser.add_argument("--in-flight", type=int, default=4, help="requests of one actor at a time")
    parser.add_argument("--address", help="of a Ray cluster; if unset, one is started here")
    arguments = parser.parse_args(words)
    if arguments.source.resolved == arguments.output.resolved:
        parser.error("source and output are the same; name another output")
    options = dict(map(option, arguments.option)) | {"format": arguments.format}
    try:
        parse_options(actions.find(arguments.action).options, options)
    except SakugaError as error:  # now, and not picture by picture
        parser.error(str(error))
    arguments.options = options
    return arguments


def option(text: str) -> tuple[str, Any]:
    """`scale=2` as name and value: JSON, else text."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def attempted(arguments: argparse.Namespace, todo: list[str]) -> dict[str, str]:
    """Processes pictures; those that failed, and why."""
    failed = dict.fromkeys(todo, "it couldn't be read; Ray's log has the reason")
    ray.init(address=arguments.address)
    ray.data.DataContext.get_current().max_errored_blocks = -1  # the others go on
    for row in processed(arguments, todo):
        failed.pop(row["name"], None)
        failed |= {row["name"]: row["error"]} if row["error"] else {}
    return failed


def main(words: list[str] | None = None) -> int:
    """Processes what has no result yet; the exit status, 1 if anything failed."""
    arguments = parsed(words)
    names = list(pictures(arguments.source, arguments.output))
    if not names:
        print(f"no picture found in {arguments.source.uri}")
        return 1
    there = arguments.output.names()
    todo = [name for name in names if target(name, arguments.format) not in there]
    failed = attempted(arguments, todo) if todo else {}
    lines = (json.dumps({"name": name, "error": text}) + "\n" for name, text in failed.items())
    arguments.output.write(FAILURES, "".join(lines).encode())
    done, before = len(todo) - len(failed), len(names) - len(todo)
    print(f"{done} done, {before} were there, {len(failed)} failed: see {FAILURES}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
