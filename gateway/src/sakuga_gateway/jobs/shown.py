"""Jobs as callers see them."""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sakuga_gateway.jobs.changes import overall


def job(row: Mapping[str, Any], place: int | None, keep_seconds: float) -> dict[str, Any]:
    """A job as JSON.

    Args:
        row: of the store, with its `pictures`.
        place: how many pictures wait before its first one that does.
        keep_seconds: for which it is kept after its end.
    """
    states = [each["state"] for each in row["pictures"]]
    started = [each["started"] for each in row["pictures"] if each["started"]]
    path = f"/v1/jobs/{row['id']}"
    return {
        "id": row["id"],
        "action": row["action"],
        "state": overall(states),
        "place": place,
        "created": _time(row["created"]),
        "started": _time(min(started, default=None)),
        "finished": _time(row["finished"]),
        "expires": _time(row["finished"] and row["finished"] + keep_seconds),
        "counts": dict(Counter(states)),
        "pictures": [_picture(each, path) for each in row["pictures"]],
        "links": {"self": path, "events": f"{path}/events", "result": f"{path}/result"},
    }


def _picture(row: Mapping[str, Any], path: str) -> dict[str, Any]:
    result = {
        "name": row["result_name"],
        "media_type": row["media_type"],
        "bytes": row["result_bytes"],
        "link": f"{path}/pictures/{row['number']}",
    }
    progress = {name: row[name] for name in ("unit", "done", "total")}
    return {
        "number": row["number"],
        "name": row["name"],
        "state": row["state"],
        "progress": progress if row["total"] else None,
        "error": row["error"] and json.loads(row["error"]),
        "report": row["report"] and json.loads(row["report"]),
        "result": result if row["state"] == "succeeded" else None,
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
