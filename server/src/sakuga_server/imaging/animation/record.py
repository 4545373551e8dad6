"""What is known of an animated picture, and its frames one after the other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sakuga_server.imaging.metadata import Metadata
from sakuga_server.imaging.picture import Picture


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
    width: int
    """Of the canvas, in pixels, as `height`."""
    height: int
    timing: Timing
    alpha: bool
    """Whether its frames have transparency: then they all have an alpha, else none has."""
    deep: bool
    """Whether a sample has 16 bits."""
    metadata: Metadata
    warnings: list[str]
    source: Callable[[], Iterator[Picture]] = field(repr=False)
    """Gives its frames."""

    def frames(self) -> Iterator[Picture]:
        """Each frame as a viewer shows it: the whole canvas, in RGB, with pixels of its own.

        They are decoded one by one, when their turn comes; each call begins anew.
        """
        return self.source()
