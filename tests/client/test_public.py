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
from sakuga import _public as public


def test_all_names_exist_and_are_sorted() -> None:
    assert sorted(sakuga.__all__) == sakuga.__all__
    assert all(hasattr(sakuga, name) for name in sakuga.__all__)


def test_providers_satisfy_the_protocol() -> None:
    assert isinstance(RealESRGANProvider(), ImageProvider)
    assert isinstance(ArtifactFixProvider(), ImageProvider)
    assert isinstance(AutoDetector(), ArtifactDetector)
    assert issubclass(Images, ImageProvider)


def imported_with(modules: str) -> set[str]:
    code = f"import {modules}, sys; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())


def test_the_client_brings_no_picture_code() -> None:
    modules = imported_with("sakuga.cli.images, sakuga._public")
    assert not modules & {"torch", "cv2", "PIL", "onnxruntime"}


def test_the_command_itself_imports_nothing_that_help_does_not_need() -> None:
    unneeded = {"pydantic", "grpc", "tritonclient", "numpy", "rich", "fsspec"}
    assert not imported_with("sakuga, sakuga.cli") & unneeded
    assert set(sakuga.__all__) == set(public.__all__)


def test_the_server_brings_no_torch() -> None:
    modules = imported_with("sakuga_server.runtime.embedded, sakuga_server.pipelines.upscale")
    assert not modules & {"torch", "triton_python_backend_utils", "tritonclient", "grpc"}


def test_the_writer_of_the_repository_brings_neither_torch_nor_onnx() -> None:
    assert not imported_with("sakuga_core.repository.writer") & {"torch", "onnx", "sakuga_export"}
