"""From file to file: what every action does around its own work, for one picture or for many."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol, cast

from sakuga_core.config.server import Limits
from sakuga_core.errors import BadOption
from sakuga_core.formats import BY_NAME, FileFormat, result_format
from sakuga_core.options import Format, PictureOptions
from sakuga_core.progress import Progress
from sakuga_server.caller import Caller
from sakuga_server.imaging import sequence
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.encode import check_size, encode
from sakuga_server.imaging.picture import Picture
from sakuga_server.imaging.sequence import Sequence
from sakuga_server.pipelines.frames import in_turn
from sakuga_server.pipelines.report import Stages, report, sequence_report
from sakuga_server.pipelines.sizes import Size

CHOOSES = (None, "auto")  # of `format`, where the picture decides


class Request(Protocol):
    """One request, as far as the way from file to file has to know it."""

    @property
    def model(self) -> str: ...
    @property
    def options(self) -> PictureOptions: ...
    @property
    def notes(self) -> list[str]: ...
    @property
    def stages(self) -> Stages: ...
    @property
    def caller(self) -> Caller: ...
    def expect(self, source: Sequence) -> int:
        """Prepares for pictures with several frames; how many of them are worked on at once."""
        ...


@dataclass(frozen=True)
class Work:
    """What an action does to one picture, or to one frame."""

    action: str
    size: Callable[[int, int], Size]
    """The size of the result, by width and height; raises where that isn't allowed."""
    one: Callable[[Picture], Awaitable[Picture]]


async def from_file_to_file(
    data: bytes, request: Request, work: Work, limits: Limits
) -> tuple[bytes, dict[str, Any]]:
    """Decodes, works, and encodes: a still picture, every frame, or every page.

    Args:
        data: an encoded file; see `decode`.

    Returns:
        An encoded file, and the report.

    Raises:
        SakugaError: BadImage, TooLarge, or whatever the work raises.
    """
    with request.stages("total"):
        with request.stages("decode"):
            every = request.options.animation == "all"
            source = await asyncio.to_thread(sequence.read, data, limits) if every else None
            picture = None if source else await asyncio.to_thread(decode, data, limits)
        if source:
            return await _sequence(source, len(data), request, work)
        assert picture
        return await _still(picture, len(data), request, work)


async def _still(
    picture: Picture, size: int, request: Request, work: Work
) -> tuple[bytes, dict[str, Any]]:
    chosen = request.options
    target = work.size(picture.width, picture.height)
    form = still_format(chosen, picture.format, target)
    result = await work.one(picture)
    with request.stages("encode"):
        encoded = await asyncio.to_thread(
            encode, result, form, chosen.quality, chosen.keep_metadata, chosen.lossless
        )
    return encoded, report(request, work.action, picture, result, (size, len(encoded)), form)


async def _sequence(
    source: Sequence, size: int, request: Request, work: Work
) -> tuple[bytes, dict[str, Any]]:
    chosen, count = request.options, len(source.sizes)
    targets = [work.size(*each) for each in source.sizes]
    form = _format_of_frames(source, chosen, targets)
    writer = source.writer(form, targets[0], chosen)
    at_once = await asyncio.to_thread(request.expect, source)  # which decodes frames
    last, done = None, 0
    async with aclosing(in_turn(source.pictures(), work.one, at_once)) as pairs:
        async for last in pairs:
            await asyncio.to_thread(writer.add, last[1])
            done += 1
            request.caller.progress(Progress("frames", done, count))
    assert last
    with request.stages("encode"):
        encoded = await asyncio.to_thread(writer.finish)
    sizes, warnings = (size, len(encoded)), source.warnings + writer.warnings
    return encoded, sequence_report(request, work.action, last, sizes, form, count, warnings)


def _format_of_frames(source: Sequence, options: PictureOptions, targets: list[Size]) -> Format:
    """
    Raises:
        BadOption: the format that was asked for holds one picture only.
        TooLarge: it can't hold so wide or so high a picture.
    """
    wanted = options.format
    kept = result_format(None, BY_NAME[source.format], frames=True, adds_alpha=options.adds_alpha)
    row = kept if wanted in CHOOSES else BY_NAME.get(str(wanted))
    if row is None or row.name not in source.formats:
        raise BadOption(
            f"option 'format' is {wanted!r}, and the file has {len(targets)} pictures; allowed: "
            f"{', '.join(source.formats)}, or animation: first"
        )
    return _holding(row, options, targets)


def still_format(options: PictureOptions, source: str, target: Size) -> Format:
    """The format of a single result.

    Args:
        source: the format of its picture.
        target: the result's width and height.

    Raises:
        TooLarge: the format can't hold so wide or so high a picture.
    """
    wanted = options.format
    if wanted == "raw":
        return wanted
    row = result_format(wanted, BY_NAME.get(source), frames=False, adds_alpha=options.adds_alpha)
    return _holding(row, options, [target])


def _holding(row: FileFormat, options: PictureOptions, targets: list[Size]) -> Format:
    """The format; PNG, where no format was asked for, and it can't hold so long a side.

    Raises:
        TooLarge: it can't hold so wide or so high a picture.
    """
    longest = max(map(max, targets))
    if options.format in CHOOSES and row.longest_side and longest > row.longest_side:
        row = BY_NAME["png"]
    for target in targets:
        check_size(row.name, *target)
    return cast(Format, row.name)
