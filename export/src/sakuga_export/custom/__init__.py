"""A user's own checkpoints: read, measured, exported and kept as rows in the repository."""
