"""Mending: damage found and undone before a network enlarges."""

from sakuga_server.triton_model import FixArtifactsModel as TritonPythonModel  # noqa: F401
