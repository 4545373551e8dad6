"""Errors of exporting."""


class ExportError(Exception):
    """The weights don't fit the network, or the export doesn't do what it was made from."""
