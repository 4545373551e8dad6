"""The networks that there are, loaded or not; loads one that a request needs."""

from sakuga_server.triton.networks import NetworksModel as TritonPythonModel  # noqa: F401
