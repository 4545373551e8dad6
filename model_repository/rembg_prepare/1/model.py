"""Background removal, first step: an encoded picture to what the network sees."""

from sakuga_server.triton.rembg import RembgPrepareModel as TritonPythonModel  # noqa: F401
