"""What runs inside Triton (the picture pipelines) and beside it (the embedded server)."""
