"""A request for background removal: its options, and what its report will have."""

from dataclasses import dataclass, field

from sakuga_core.networks.facts import SegmenterFacts
from sakuga_core.options import RembgOptions
from sakuga_core.progress import Progress
from sakuga_server.caller import NOBODY, Caller
from sakuga_server.imaging.picture import Picture
from sakuga_server.imaging.sequence import Sequence
from sakuga_server.pipelines.report import Stages

# Frames that are worked on at once: one is prepared, one is in the network, one is refined.
AT_ONCE = 3
STEPS = 3  # of a single picture: prepared, predicted, refined


@dataclass
class RembgRequest:
    """One request."""

    options: RembgOptions
    model: str
    facts: SegmenterFacts
    """Of the network."""
    unusual: frozenset[str] = frozenset()
    """The options that differ from the server's defaults."""
    mask: Picture | None = None
    """How the caller corrects the network's mask."""
    caller: Caller = NOBODY
    notes: list[str] = field(default_factory=list)
    stages: Stages = field(default_factory=Stages)
    is_single: bool = True
    """Whether it has one picture, of which the caller gets the steps as progress."""

    @property
    def letterbox(self) -> bool:
        return self.options.preprocess == "letterbox"

    def expect(self, source: Sequence) -> int:
        """Prepares for several pictures; how many of them are worked on at once."""
        self.is_single = False
        return AT_ONCE

    def finish(self, step: int) -> None:
        """
        Raises:
            Cancelled: nobody waits for the next one.
        """
        self.caller.stop_if_gone()
        if self.is_single:
            self.caller.progress(Progress("steps", step, STEPS))

    def note(self, text: str) -> None:
        """Adds to the report, once for all frames."""
        if text not in self.notes:
            self.notes.append(text)
