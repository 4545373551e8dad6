"""Which pictures a command means, where each result goes, and how it is written."""

from sakuga.files.planning import Plan, Task, plan, plan_reading
from sakuga.files.wanted import Wanted

__all__ = ["Plan", "Task", "Wanted", "plan", "plan_reading"]
