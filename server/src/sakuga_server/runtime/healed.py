"""What a supervisor has healed, kept in a file: Triton's model `networks` reads it for the metrics.

The totals are the supervisor's, so that they outlast a Triton that is started again.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Literal

from sakuga_core.atomic import write_whole

Reason = Literal["died", "cleared"]
REASONS: tuple[Reason, ...] = ("died", "cleared")
"""Why Triton was started again: it ended by itself, or because of what dead processes left."""


class Healed:
    """The totals of one server, or those that its file has.

    Args:
        file: beside the runtime repository; see `file_of`.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        values = json.loads(file.read_text()) if file.exists() else {}
        self.models = Counter[str](values.get("models"))
        """Times that each model was loaded again."""
        self.restarts = Counter[str](values.get("restarts"))
        """Times that Triton was started again, by reason."""

    @classmethod
    def beside(cls, repository: Path) -> "Healed":
        """Those of the server that serves a runtime repository."""
        return cls(repository.with_name("healed.json"))

    def add_model(self, name: str) -> None:
        self.models[name] += 1
        self._write()

    def add_restart(self, reason: Reason) -> None:
        self.restarts[reason] += 1
        self._write()

    def _write(self) -> None:
        values = {"models": self.models, "restarts": self.restarts}
        write_whole(self.file, json.dumps(values).encode())
