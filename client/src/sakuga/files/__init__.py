"""Which pictures a command means, where each result goes, and how it is written."""

from sakuga.files.outputs import PlanOptions
from sakuga.files.planning import Plan, Task, plan, plan_reading

__all__ = ["Plan", "PlanOptions", "Task", "plan", "plan_reading"]
