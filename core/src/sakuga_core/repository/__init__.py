"""The writer of the model repository: rows and config.yaml to every config.pbtxt."""
