"""Counts the pictures of a Triton model: by action, network and outcome, with their tiles, pixels
and times."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from sakuga_core import protocol
from sakuga_core.actions import ACTIONS
from sakuga_core.errors import SakugaError, ServerError
from sakuga_server import metrics
from sakuga_server.triton.metrics import add

log = logging.getLogger("sakuga")


@dataclass
class Counted:
    """What becomes known of one picture."""

    model: object = None
    """As the request names it; None: it names none."""
    report: Mapping[str, Any] = field(default_factory=dict)
    """Once there is one."""


@dataclass(frozen=True)
class Counting:
    """Counts for one Triton model."""

    actions: tuple[str, ...]
    """That it serves; the first one where a request doesn't say."""
    is_known: Callable[[str], bool]
    """Whether there is a network or family of a name."""
    default: str = metrics.UNKNOWN
    """The model of requests that name none."""

    @classmethod
    def of_action(
        cls, model: str, networks: Mapping[str, Any], defaults: Mapping[str, Any]
    ) -> Self:
        """For the Triton model of an action, or its twin, by the parameters of its config.pbtxt."""
        name = model.removesuffix(protocol.STREAM)
        served = {a.name.value for a in ACTIONS.values() if name == a.triton_model}
        names = {*networks, *(row.get("family") for row in networks.values())}
        actions = (name, *sorted(served - {name}))
        return cls(actions, names.__contains__, str(defaults.get("model", metrics.UNKNOWN)))

    @contextmanager
    def picture(self, request: Any) -> Iterator[Counted]:
        """Counts the picture of a request when the block ends, whatever the outcome."""
        about = json.loads(request.parameters() or "{}")
        action = about.get(protocol.ACTION)
        action = action if action in self.actions else self.actions[0]
        is_counted = protocol.UNCOUNTED not in about
        if is_counted:
            _add_begin(action, about)
        counted, outcome = Counted(), metrics.OK
        try:
            yield counted
        except Exception as error:
            outcome = type(error if isinstance(error, SakugaError) else ServerError()).__name__
            raise
        finally:
            if is_counted:
                _add_end(action, self._model(counted), outcome, counted.report)

    def _model(self, counted: Counted) -> str:
        if counted.model is None:
            return self.default
        name = protocol.canonical(str(counted.model))
        return name if self.is_known(name) else metrics.UNKNOWN


def _add_begin(action: str, about: Mapping[str, Any]) -> None:
    """What a request says of its way here."""
    attempt, sent = about.get(protocol.ATTEMPT), about.get(protocol.SENT)
    if isinstance(attempt, int) and attempt > 1:
        add(metrics.RETRIED, 1, action)
    if isinstance(sent, int):  # by the client's clock
        waited = min(max(0.0, time.time() - sent / 1e6), metrics.SECONDS[-1])
        add(metrics.STAGE_SECONDS, waited, action, metrics.QUEUE)


def _add_end(action: str, model: str, outcome: str, report: Mapping[str, Any]) -> None:
    add(metrics.PICTURES, 1, action, model, outcome)
    labels = {"action": action, "network": model, "outcome": outcome}
    took = report.get("milliseconds", {})
    log.info("a picture was answered", extra={**labels, "milliseconds": took})
    if not report:
        return
    for name, metric in (("tiles", metrics.TILES), ("tiles_computed", metrics.TILES_COMPUTED)):
        if report.get(name):
            add(metric, report[name], action, model)
    for name in ("input", "output"):
        pixels = report[name]["width"] * report[name]["height"] * report.get("frames", 1)
        add(metrics.PIXELS, pixels, action, model, name)
    for stage in set(metrics.STAGES).intersection(took):
        add(metrics.STAGE_SECONDS, took[stage] / 1000, action, stage)
