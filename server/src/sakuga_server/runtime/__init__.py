"""The embedded tritonserver: its binaries, process, models, and following config.yaml."""
