"""Files of several pictures: animated ones, and those with pages."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from sakuga_core.config.server import Limits
from sakuga_core.formats import FORMATS
from sakuga_core.options import Format, PictureOptions
from sakuga_server.imaging import animation
from sakuga_server.imaging.animation import Animation
from sakuga_server.imaging.encode import PagesWriter
from sakuga_server.imaging.metadata import Metadata
from sakuga_server.imaging.picture import Picture
from sakuga_server.imaging.reading import tiff

Size = tuple[int, int]


class Writer(Protocol):
    """Writes a file of several pictures, which come one after the other."""

    warnings: list[str]

    def add(self, picture: Picture) -> None: ...
    def finish(self) -> bytes:
        """The whole file."""
        ...


class Sequence(Protocol):
    """A file of several pictures."""

    @property
    def format(self) -> str:
        """The name of its row in `sakuga_core.formats`."""
        ...

    @property
    def sizes(self) -> list[Size]:
        """Width and height of each picture."""
        ...

    @property
    def formats(self) -> list[str]:
        """What results can be written as."""
        ...

    @property
    def moves(self) -> bool:
        """Whether they are frames of an animation, and not pages."""
        ...

    @property
    def warnings(self) -> list[str]: ...

    def pictures(self) -> Iterator[Picture]:
        """One after the other, each read when its turn comes; each call begins anew."""
        ...

    def writer(self, format: Format, size: Size, options: PictureOptions) -> Writer:
        """For the results, of which the first is of that size."""
        ...


@dataclass(frozen=True)
class Frames:
    """The frames of an animated picture."""

    file: Animation
    moves: ClassVar[bool] = True
    formats: ClassVar[list[str]] = [row.name for row in FORMATS if row.animation]

    @property
    def format(self) -> str:
        return self.file.format

    @property
    def sizes(self) -> list[Size]:
        return [(self.file.width, self.file.height)] * len(self.file.timing.durations)

    @property
    def warnings(self) -> list[str]:
        return self.file.warnings

    def pictures(self) -> Iterator[Picture]:
        return self.file.frames()

    def writer(self, format: Format, size: Size, options: PictureOptions) -> Writer:
        metadata = self.file.metadata if options.keep_metadata else Metadata()
        return animation.writer(
            format,
            *size,
            self.file.timing,
            alpha=self.file.alpha or options.adds_alpha,
            deep=self.file.deep,
            metadata=metadata,
            quality=options.quality,
            lossless=options.lossless,
        )


@dataclass(frozen=True)
class Pages:
    """The pages of a TIFF file, which may differ in size."""

    data: bytes
    limits: Limits
    sizes: list[Size]
    warnings: list[str] = field(default_factory=list)
    format: ClassVar[str] = "tiff"
    moves: ClassVar[bool] = False
    formats: ClassVar[list[str]] = [row.name for row in FORMATS if row.pages]

    def pictures(self) -> Iterator[Picture]:
        return tiff.pictures(self.data, self.limits)

    def writer(self, format: Format, size: Size, options: PictureOptions) -> Writer:
        return PagesWriter(options.keep_metadata)


def read(data: bytes, limits: Limits) -> Sequence | None:
    """A file's pictures; None where there is only one.

    Raises:
        BadImage: it is damaged.
        TooLarge: over a limit; nothing has been decoded yet.
    """
    if (moving := animation.read(data, limits)) is not None:
        return Frames(moving)
    warnings = list[str]()
    sizes = tiff.pages(data, limits, warnings)
    return Pages(data, limits, sizes, warnings) if len(sizes) > 1 else None
