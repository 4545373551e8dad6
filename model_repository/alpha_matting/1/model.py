"""Background removal, last step: a mask and the picture to an encoded result."""

from sakuga_server.triton.rembg import AlphaMattingModel as TritonPythonModel  # noqa: F401
