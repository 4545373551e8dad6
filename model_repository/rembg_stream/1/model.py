"""Background removal, frame by frame: animated pictures and pages."""

from sakuga_server.pipelines.rembg import Rembg
from sakuga_server.triton.action import stream_of

TritonPythonModel = stream_of(Rembg)
