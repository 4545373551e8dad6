"""Metrics of this process, which Triton serves with its own.

Processes that name the same metric and labels share one value in Triton. It outlasts them: a model
that is loaded again counts on, and only a new Triton begins at zero.
"""

import ctypes
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import triton_python_backend_utils as pb

from sakuga_server.metrics import SECONDS, Metric

log = logging.getLogger("sakuga")


def add(metric: Metric, value: float, *labels: str) -> None:
    """Increments a counter, or observes a value in a histogram.

    Args:
        labels: the values of the metric's labels.
    """
    with _harmless(metric):
        found = _child(metric, labels)
        (found.observe if metric.kind == "histogram" else found.increment)(value)


def raise_to(metric: Metric, value: float, *labels: str) -> None:
    """Increments a counter to a total that is kept elsewhere; it never falls."""
    with _harmless(metric):
        found = _child(metric, labels)
        found.increment(max(0.0, value - found.value()))


@contextmanager
def _harmless(metric: Metric) -> Iterator[None]:
    """What goes wrong in the block is logged, and costs no picture."""
    try:
        yield
    except pb.TritonModelException as error:
        log.warning("%s isn't counted: %s", metric.name, error)


@cache
def _child(metric: Metric, labels: tuple[str, ...]) -> Any:
    buckets = {"buckets": list(SECONDS)} if metric.kind == "histogram" else {}
    values = dict(zip(metric.labels, labels, strict=True))
    return _family(metric).Metric(labels=values, **buckets)


@cache
def _family(metric: Metric) -> Any:
    kind = getattr(pb.MetricFamily, metric.kind.upper())
    family = pb.MetricFamily(name=metric.name, description=metric.about, kind=kind)
    # Never freed: with the first process that frees its own, Triton 2.51 removes a value that
    # others go on to write to. That also takes a call, which nobody answers when a process ends.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(family))
    return family
