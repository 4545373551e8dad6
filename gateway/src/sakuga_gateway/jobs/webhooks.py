"""Webhooks: a job's end is told to a host that the operator allows, signed as Standard Webhooks has
it."""

import json
import os
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from sakuga_core.errors import BadOption
from sakuga_gateway.access import is_local

SECRET = "SAKUGA_WEBHOOK_SECRET"  # in the environment: whsec_ and base64
SECONDS = 15  # that a host has to answer


def check(url: object, allowed: list[str]) -> str:
    """A webhook that a job may name.

    Raises:
        BadOption: its host isn't allowed, it isn't encrypted, or there is no secret to sign with.
    """
    try:
        parts = urlsplit(str(url))
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise BadOption(f"'webhook' is {str(url)[:200]!r}; allowed: an https URL") from None
    if not (parts.scheme == "https" or (parts.scheme == "http" and is_local(host))):
        raise BadOption(f"'webhook' is {str(url)[:200]!r}; allowed: an https URL")
    if parts.username or not {host, f"{host}:{port}"} & {each.lower() for each in allowed}:
        named = ", ".join(allowed) or "none, as gateway.webhook_hosts is empty"
        raise BadOption(f"the host of 'webhook' is {host[:200]!r}; allowed: {named}")
    if not os.environ.get(SECRET):
        raise BadOption(f"'webhook' can't be used: the gateway has no {SECRET} to sign it with")
    return str(url)


async def send(url: str, job: dict[str, Any]) -> None:
    """Tells a webhook that a job has ended.

    Raises:
        httpx.HTTPError: the host can't be reached, or doesn't take it.
    """
    import httpx  # which takes a sixth of the time that a gateway has to start
    from standardwebhooks import Webhook

    now = datetime.now(UTC)
    message = {"type": f"job.{job['state']}", "timestamp": now.isoformat(), "data": job}
    body = json.dumps(message)
    identity = f"msg_{job['id']}"
    headers = {
        "content-type": "application/json",
        "webhook-id": identity,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(os.environ[SECRET]).sign(identity, now, body),
    }
    async with httpx.AsyncClient(timeout=SECONDS, follow_redirects=False) as client:
        answer = await client.post(url, content=body, headers=headers)
        answer.raise_for_status()
