"""When a picture is sent anew, and when not: attempts, pauses, and a budget for all pictures."""

import random
import time
from dataclasses import dataclass, field

# A retry costs a token, and each picture brings a part of one: when all servers are down, retries
# add a fifth to their load, not a multiple. Some are there at the start, for few pictures.
PER_PICTURE, MOST = 0.2, 10.0

# Seconds: the pause before the first retry, which doubles each time, and the longest. It is drawn
# from zero on, so that clients which failed together don't come back together.
FIRST, LONGEST = 0.2, 5.0


@dataclass
class Budget:
    """Of one client."""

    tokens: float = MOST

    def earn(self) -> None:
        self.tokens = min(MOST, self.tokens + PER_PICTURE)

    def spend(self) -> bool:
        """Whether a retry is paid for."""
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class Attempts:
    """Of one picture."""

    retries: int
    """How many there may be."""
    seconds: float
    """That all of them may take."""
    budget: Budget
    made: int = 0
    start: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds, of the time allowed."""
        return self.start + self.seconds - time.monotonic()

    def pause(self) -> float | None:
        """Seconds to wait before the next attempt; None if there is none."""
        if self.made >= self.retries or not self.budget.spend():
            return None
        longest = min(LONGEST, FIRST * 2**self.made)
        self.made += 1
        pause = random.uniform(0, longest)
        return pause if pause < self.left else None
