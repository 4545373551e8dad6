"""Cutting out, last step: a mask and the picture to an encoded cut-out."""

from sakuga_server.triton_model import AlphaMattingModel as TritonPythonModel  # noqa: F401
