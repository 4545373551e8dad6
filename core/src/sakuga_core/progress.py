"""How far a request is."""

from typing import Literal, NamedTuple, Self

Unit = Literal["tiles", "frames"]


class Progress(NamedTuple):
    """How far a request is; a server sends one whenever `done` grows, `total` may grow, too."""

    unit: Unit
    """Tiles of a single picture, frames of an animated one or of one with several pages."""
    done: int
    total: int

    @classmethod
    def from_json(cls, values: dict[str, object]) -> Self:
        """From the JSON object of the tensor PROGRESS."""
        return cls(**values)  # type: ignore[arg-type]
