"""Promises about the packages as a whole."""

import subprocess
import sys

import sakuga
from sakuga import (
    ArtifactDetector,
    ArtifactFixProvider,
    AutoDetector,
    ImageProvider,
    Images,
    RealESRGANProvider,
)


def test_all_names_exist_and_are_sorted() -> None:
    assert sorted(sakuga.__all__) == sakuga.__all__
    assert all(hasattr(sakuga, name) for name in sakuga.__all__)


def test_providers_satisfy_the_protocol() -> None:
    assert isinstance(RealESRGANProvider(), ImageProvider)
    assert isinstance(ArtifactFixProvider(), ImageProvider)
    assert isinstance(AutoDetector(), ArtifactDetector)
    assert issubclass(Images, ImageProvider)


def imported_with(module: str) -> set[str]:
    code = f"import {module}, sys; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())


def test_the_client_brings_no_picture_code() -> None:
    assert not imported_with("sakuga.cli") & {"torch", "cv2", "PIL", "onnxruntime"}


def test_the_server_brings_no_torch() -> None:
    modules = imported_with("sakuga_server.embedded, sakuga_server.pipelines.upscale")
    assert not modules & {"torch", "triton_python_backend_utils"}


def test_the_generator_brings_no_torch() -> None:
    assert "torch" not in imported_with("sakuga_export.cli, sakuga_export.repository")
