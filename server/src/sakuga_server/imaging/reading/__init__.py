"""Readers of picture files, one a module: a file's samples, and what they are."""
