"""Upscaling: every super-resolution network behind one public model."""

from sakuga_server.pipelines.upscale import Upscale
from sakuga_server.triton.action import stream_of

TritonPythonModel = stream_of(Upscale)
