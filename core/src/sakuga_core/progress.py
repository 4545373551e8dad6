"""How far a request is."""

from typing import Literal, NamedTuple, Self

Unit = Literal["tiles", "frames", "steps"]


class Progress(NamedTuple):
    """How far a request is; a server sends one whenever `done` grows, `total` may grow, too."""

    unit: Unit
    """Tiles of a single picture, or steps where it has no tiles; frames of one that is animated, or
    has several pages."""
    done: int
    """How many of them are done."""
    total: int
    """How many there are, as far as is known."""

    @classmethod
    def from_json(cls, values: dict[str, object]) -> Self:
        """From the JSON object of the tensor PROGRESS."""
        return cls(**values)  # type: ignore[arg-type]
