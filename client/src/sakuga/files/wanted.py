"""What a command asks for, besides its inputs and outputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sakuga_core.formats import FileFormat, result_format


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a command asks for, besides its inputs and `-o`."""

    action: str
    model: str
    format: str | None = None
    """The option, by a flag or config.yaml."""
    flag: str | None = None
    """The option, by a flag."""
    sizes: Mapping[str, object] = field(default_factory=dict)
    """`scale`, `width` and `height` of every result, as far as options say them."""
    frames: bool = True
    """Whether all frames of animated pictures are wanted."""
    adds_alpha: bool = False
    """Whether the action makes opaque pictures transparent."""
    skip_existing: bool = False
    overwrite: bool = False
    most: int = 2**31 - 1
    """Bytes of a page of an archive, at most."""

    def formats(self, source: FileFormat | None) -> tuple[FileFormat, ...]:
        """The formats that a result may have, the likeliest first.

        Args:
            source: of the picture; whether it has several frames isn't known yet.
        """
        several = source is not None and (source.animation or source.pages) and self.frames
        rows = [
            result_format(self.format, source, frames=frames, adds_alpha=self.adds_alpha)
            for frames in ((False, True) if several else (False,))
        ]
        return tuple(dict.fromkeys(rows))
