"""How an export comes to its place in the model repository: whole, compared, and marked."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

FILE = "model.onnx"
ORIGIN = "sakuga.origin"


class ExportError(Exception):
    """The weights don't fit the network, or the export doesn't do what it was made from."""


@contextmanager
def placed(target: Path) -> Iterator[Path]:
    """A file to write and compare; it gets its name only if all of it went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        file = Path(folder) / FILE
        yield file
        file.rename(target)


def mark(model: onnx.ModelProto, origin: str) -> None:
    onnx.helper.set_model_props(model, {ORIGIN: origin})


def origin_of(file: Path) -> str | None:
    model = onnx.load(file, load_external_data=False)
    return next((p.value for p in model.metadata_props if p.key == ORIGIN), None)
