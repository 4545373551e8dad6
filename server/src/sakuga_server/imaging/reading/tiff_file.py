"""A TIFF file of which any page can be made the first."""

import io
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from sakuga_core.errors import BadImage
from sakuga_server.imaging.metadata import ifd
from sakuga_server.imaging.reading.tiff_tags import BLACK_IS_ZERO, PHOTOMETRIC, Page


class PageFile:
    """A page that is the first is found at once: nobody walks there through all before it. All
    pages share one copy of the file, in shared memory, so that libtiff reads it as a file, too; the
    first needs none."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._big = 0x2B in data[2:4]
        self._order = "<" if data[:1] == b"I" else ">"
        self._copy: int | None = None
        """Its descriptor."""

    def close(self) -> None:
        if self._copy is not None:
            os.close(self._copy)

    @contextmanager
    def beginning_with(self, page: Page, *, as_gray: bool = False) -> Iterator[bytes | mmap.mmap]:
        """The file with a page as its first.

        Args:
            as_gray: call its samples gray and others, which libtiff gives as they are.
        """
        if page.index == 0 and not as_gray:
            yield self._data
            return
        changes = self._gray(page) if as_gray else {}
        with self._changed(page, changes) as copy, mmap.mmap(copy, len(self._data)) as memory:
            yield memory

    @contextmanager
    def opened(self, page: Page) -> Iterator[BinaryIO]:
        """The same, to be read."""
        if page.index == 0:
            yield io.BytesIO(self._data)
            return
        with self._changed(page, {}) as copy, open(copy, "rb", closefd=False) as file:
            file.seek(0)
            yield file

    @contextmanager
    def _changed(self, page: Page, changes: dict[int, bytes]) -> Iterator[int]:
        """The copy, with some bytes changed as long as the block lasts."""
        at, form = (8, "Q") if self._big else (4, "I")
        changes = {at: struct.pack(self._order + form, page.at), **changes}
        copy = self._copied()
        for at, part in changes.items():
            os.pwrite(copy, part, at)
        try:
            yield copy
        finally:
            for at, part in changes.items():
                os.pwrite(copy, self._data[at : at + len(part)], at)

    def _copied(self) -> int:
        if self._copy is None:
            self._copy = os.memfd_create("tiff")
            with open(self._copy, "wb", closefd=False) as file:
                file.write(self._data)
        return self._copy

    def _gray(self, page: Page) -> dict[int, bytes]:
        """Where the kind of a page's colours is said, and what has to be said there."""
        entry = struct.Struct(self._order + ("HHQ8s" if self._big else "HHI4s"))
        head = struct.Struct(self._order + ("Q" if self._big else "H"))
        (count,) = head.unpack_from(self._data, page.at)
        start = page.at + head.size
        value = struct.pack(self._order + "H", BLACK_IS_ZERO)
        for at in range(start, start + count * entry.size, entry.size):
            if struct.unpack_from(self._order + "H", self._data, at) == (PHOTOMETRIC,):
                return {at: entry.pack(PHOTOMETRIC, ifd.SHORT, 1, value)}
        raise BadImage("the TIFF file doesn't say how its colours are stored")
