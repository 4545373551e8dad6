"""The results of a job as one zip, made while it is sent."""

import json
import zipfile
from collections.abc import Iterator
from io import RawIOBase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sakuga_gateway.jobs.jobs import Jobs

REPORT = "job.json"  # the file that tells each picture's state


def zipped(jobs: "Jobs", job: dict[str, Any]) -> Iterator[bytes]:
    """A zip of the results of a job, and of its state, part by part. Pictures aren't compressed
    again."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, picture in named(job["pictures"]).items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as file:
                for part in jobs.result(job["id"], picture["number"]):
                    file.write(part)
                    yield sink.taken()
        archive.writestr(REPORT, json.dumps(job, indent=2))
    yield sink.taken()


def named(pictures: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pictures with a result, by names of which none comes twice."""
    names: dict[str, dict[str, Any]] = {}
    for picture in pictures:
        if picture["result"]:
            name = picture["result"]["name"]
            if name in names or name == REPORT:
                path = PurePosixPath(name)
                name = f"{path.stem}-{picture['number']}{path.suffix}"
            names[name] = picture
    return names


class _Sink(RawIOBase):
    """What is written, until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
