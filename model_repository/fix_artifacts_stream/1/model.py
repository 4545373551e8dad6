"""Repairing: damage is found and undone before a network upscales."""

from sakuga_server.pipelines.fix_artifacts import FixArtifacts
from sakuga_server.triton.action import stream_of

TritonPythonModel = stream_of(FixArtifacts)
