"""Background removal: every segmentation network behind one public model."""

from sakuga_server.pipelines.rembg import Rembg
from sakuga_server.triton.action import stream_of

TritonPythonModel = stream_of(Rembg)
