"""How far a command is, and how long it will still take."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sakuga_core.progress import Progress

Clock = Callable[[], float]


@dataclass
class Running:
    """A picture that is being processed."""

    start: float
    progress: "Progress | None" = None

    @property
    def part(self) -> float:
        """Of its work that is done, 0 to 1."""
        return self.progress.done / max(self.progress.total, 1) if self.progress else 0.0


@dataclass
class State:
    """How far a command is."""

    total: int
    """Pictures."""
    clock: Clock
    start: float
    running: dict[str, Running] = field(default_factory=dict)
    """By name."""
    done: int = 0
    failed: int = 0
    pixels: int = 0
    """Of the pictures that are done."""
    first: tuple[float, float] | None = None
    """When a part of the work was first done, and which: starting a server isn't counted."""
    end: float | None = None
    """When all will be done, if it goes on as it did; None: too little is done to tell."""

    @property
    def ended(self) -> int:
        """Pictures that are done or have failed."""
        return self.done + self.failed

    @property
    def part(self) -> float:
        """Of all work that is done, 0 to 1; each picture counts the same."""
        parts = self.ended + sum(each.part for each in self.running.values())
        return parts / self.total

    def estimate(self) -> None:
        """Sets `end`, after something was done."""
        now, part = self.clock(), self.part
        if self.first is None and part:
            self.first = now, part
        elif self.first and now > self.first[0] and part > self.first[1]:
            rate = (part - self.first[1]) / (now - self.first[0])
            self.end = now + (1 - part) / rate

    @property
    def left(self) -> str:
        """How long it will still take: `1:02:03`; empty where too little is done to tell."""
        if self.end is None:
            return ""
        minutes, seconds = divmod(round(max(self.end - self.clock(), 0)), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"

    @property
    def speed(self) -> str:
        """The pixels of finished pictures in a second; empty without any."""
        seconds = self.clock() - self.start
        return f"{_short(self.pixels / seconds)}px/s" if self.pixels and seconds > 0 else ""

    @property
    def failures(self) -> str:
        return f"{self.failed} failed" if self.failed else ""


def _short(number: float) -> str:
    """Three digits and the letter of its thousands."""
    letters = ["", "k", "M", "G"]
    while number >= 999.5 and len(letters) > 1:
        number /= 1000
        letters.pop(0)
    return f"{number:.3g} {letters[0]}"
