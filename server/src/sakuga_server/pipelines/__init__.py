"""Picture code: arrays and files. Nothing in here knows Triton."""
