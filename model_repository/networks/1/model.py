"""What networks there are, loaded or not; and loading one that a request needs."""

from sakuga_server.triton_model import NetworksModel as TritonPythonModel  # noqa: F401
