"""Cutting out, first step: an encoded picture to what the network sees."""

from sakuga_server.triton_model import RembgPrepareModel as TritonPythonModel  # noqa: F401
