"""The command `sakuga`: one module a command, and those of other packages by entry points."""

from sakuga.cli.main import main

__all__ = ["main"]
