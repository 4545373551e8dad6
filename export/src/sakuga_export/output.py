"""How an export comes to its place in the model repository: whole, compared, and marked."""

import hashlib
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from sakuga_core.atomic import locked
from sakuga_core.paths import cache_folder

ONNX, TORCHSCRIPT = "model.onnx", "model.pt"
ORIGIN = "sakuga.origin"


@contextmanager
def one_at_a_time(repository: Path) -> Iterator[None]:
    """Lets one process at a time change a repository; the others wait."""
    name = hashlib.sha256(str(repository.resolve()).encode()).hexdigest()[:16]
    with locked(cache_folder() / "locks" / name):
        yield


@contextmanager
def atomically(target: Path) -> Iterator[Path]:
    """A file to write and compare; it gets its name only if all of it went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as folder:
        file = Path(folder) / target.name
        yield file
        file.rename(target)


def mark(model: onnx.ModelProto, origin: str) -> None:
    onnx.helper.set_model_props(model, {ORIGIN: origin})


def mark_torchscript(origin: str) -> dict[str, str]:
    """The `_extra_files` that torch has to save."""
    return {ORIGIN: origin}


def origin_of(file: Path) -> str | None:
    """What `file` was made of, as it was marked."""
    if file.suffix == ".pt":
        with zipfile.ZipFile(file) as archive:
            marks = [name for name in archive.namelist() if name.endswith(f"/extra/{ORIGIN}")]
            return archive.read(marks[0]).decode() if marks else None
    model = onnx.load(file, load_external_data=False)
    return next((p.value for p in model.metadata_props if p.key == ORIGIN), None)
