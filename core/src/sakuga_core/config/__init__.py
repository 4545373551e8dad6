"""config.yaml: its schema, the file, where each setting comes from, and what is wrong in it."""
