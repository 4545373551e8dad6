"""What the gateway counts, for Prometheus."""

import logging
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("sakuga.gateway")

MEDIA_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """Counts of one gateway."""

    def __init__(self, in_work: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        labels = ("route", "method", "status")
        self.requests = Counter(
            "sakuga_gateway_requests", "Answered requests", labels, registry=self.registry
        )
        self.seconds = Histogram(
            "sakuga_gateway_request_seconds",
            "Seconds from a request's head to the end of its response",
            ("route", "method"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        pictures = Gauge(
            "sakuga_gateway_pictures_in_work", "In-flight pictures", registry=self.registry
        )
        pictures.set_function(in_work)
        self.jobs = Gauge(
            "sakuga_gateway_job_pictures",
            "Pictures of jobs, of all gateways that share the database",
            ("state",),
            registry=self.registry,
        )

    def text(self) -> bytes:
        """All of it in Prometheus's format."""
        return generate_latest(self.registry)


class Counted:
    """Counts requests by the pattern of their route, so that no caller makes up labels."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            seconds = time.perf_counter() - start
            self.metrics.requests.labels(route, method, status).inc()
            self.metrics.seconds.labels(route, method).observe(seconds)
            about = {"route": route, "method": method, "status": status}
            log.info("a request was answered", extra={**about, "seconds": round(seconds, 3)})


_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
