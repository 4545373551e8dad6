"""The command `sakuga`."""
