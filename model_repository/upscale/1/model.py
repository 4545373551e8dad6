"""Upscaling: every super-resolution network behind one public model."""

from sakuga_server.triton_model import UpscaleModel as TritonPythonModel  # noqa: F401
