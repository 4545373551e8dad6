"""Triton's Python backend: requests to arrays, errors to statuses, networks over BLS."""
