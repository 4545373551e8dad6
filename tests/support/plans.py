"""What a command with files and folders would do."""

from typing import Any

from sakuga.files import Plan, PlanOptions, plan


def planned(*inputs: str, output: str | None = None, **values: Any) -> Plan:
    return plan(inputs, output, PlanOptions(action="upscale", model="my-network", **values))


def targets(*inputs: str, output: str | None = None, **values: Any) -> dict[str, str]:
    """The likeliest path of each result, by its source."""
    tasks = planned(*inputs, output=output, **values).tasks
    return {task.source.name: task.target.paths[0] for task in tasks}  # type: ignore[union-attr]
