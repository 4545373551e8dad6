"""Python stand-ins for Triton's native backends, a folder each, named as Triton names them."""
