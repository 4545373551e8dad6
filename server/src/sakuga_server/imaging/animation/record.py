"""What is known of an animated picture, and its frames one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sakuga_server.imaging.animation.compose import Container, composed
from sakuga_server.imaging.metadata import Metadata
from sakuga_server.imaging.picture import Picture, orient


@dataclass(frozen=True)
class Timing:
    """When its frames are shown."""

    durations: tuple[int, ...]
    """Milliseconds of each frame, as the file says; a GIF's delays of 0 and 1 hundredth of a second
    are 100, as browsers show them."""
    loop: int = 0
    """How many times it plays; 0: for ever."""
    background: tuple[int, int, int, int] | None = None
    """Red, green, blue and alpha, in 8 bits, where the file names one. Viewers clear to
    transparency all the same, so a GIF's has an alpha of 0."""


@dataclass(frozen=True)
class Animation:
    """An animated picture. All of its frames could be decoded."""

    format: str
    """The name of its row in `sakuga_core.formats`."""
    container: Container = field(repr=False)
    alpha: bool
    """Whether its frames have transparency: then they all have an alpha, else none has."""
    metadata: Metadata
    orientation: int
    """EXIF's, 1 to 8: how the canvas is turned to get the frames."""
    warnings: list[str]

    @property
    def width(self) -> int:
        """Of a frame, in pixels, as `height`."""
        return self._sides[0]

    @property
    def height(self) -> int:
        return self._sides[1]

    @property
    def _sides(self) -> tuple[int, int]:
        width, height = self.container.width, self.container.height
        return (height, width) if self.orientation > 4 else (width, height)

    @property
    def timing(self) -> Timing:
        durations = tuple(frame.duration for frame in self.container.frames)
        return Timing(durations, self.container.loop, self.container.background)

    @property
    def deep(self) -> bool:
        """Whether a sample has 16 bits."""
        return self.container.deep

    def frames(self) -> Iterator[Picture]:
        """Each frame as a viewer shows it: the whole canvas, in RGB, with pixels of its own.

        They are decoded one by one, when their turn comes; each call begins anew.
        """
        for shown in composed(self.container):
            colour, alpha = orient(shown.colour, self.orientation), None
            if shown.alpha is not None and self.alpha:
                alpha = orient(shown.alpha, self.orientation)
            yield Picture(colour, alpha, self.metadata, [], self.orientation, self.format)
