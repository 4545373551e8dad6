"""Which tritonserver there is: NVIDIA's own, as in its container, or that of a wheel."""

import importlib.util
import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

from sakuga_core.errors import ConfigError
from sakuga_server import backends

HOME = "SAKUGA_TRITON"  # the environment's name of the folder that Triton is installed in


class Binary(NamedTuple):
    """A tritonserver that can be started."""

    program: Path
    backends: Path
    libraries: tuple[Path, ...]
    """Where it finds what it is linked to."""
    gpu_metrics: bool
    """Whether it has the library that tells of GPUs."""


def binary(folder: Path) -> Binary:
    """The tritonserver of $SAKUGA_TRITON, else that of the nvidia-pytriton wheel, for which its
    backends are put together in `folder`.

    Raises:
        ConfigError: it isn't there, or can't be run from `folder`.
    """
    home = os.environ.get(HOME)
    return _installed(Path(home)) if home else _of_wheel(folder)


def _installed(home: Path) -> Binary:
    program = home / "bin" / "tritonserver"
    if not program.exists():
        raise ConfigError(f"{HOME} is {home}; allowed: a folder that has bin/tritonserver")
    return Binary(program, home / "backends", (), gpu_metrics=True)


def _of_wheel(folder: Path) -> Binary:
    folder.mkdir(parents=True, exist_ok=True)
    if os.statvfs(folder).f_flag & os.ST_NOEXEC:
        raise ConfigError(
            f"nothing can be run from {folder}, on a file system without `exec`; set "
            "XDG_CACHE_HOME to another folder (a container takes --tmpfs /tmp:exec)"
        )
    _assemble_backends(folder)
    libraries = (
        _wheel().parents[1] / "nvidia_pytriton.libs",
        Path(str(sysconfig.get_config_var("LIBDIR"))),
    )
    return Binary(_wheel() / "bin" / "tritonserver", folder, libraries, gpu_metrics=False)


def _wheel() -> Path:
    found = importlib.util.find_spec("pytriton")
    if found is None or found.origin is None:
        raise ConfigError("the embedded server isn't installed; `pip install 'sakuga[serve]'`")
    return Path(found.origin).parent / "tritonserver"


def _assemble_backends(folder: Path) -> None:
    """The wheel's Python backend with our Python's stub, and stand-ins for the native ones."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = _wheel() / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.exists():
        raise ConfigError(f"Triton's wheel has no stub for Python {version}")
    shutil.copytree(_wheel() / "backends" / "python", folder / "python")
    shutil.copy(stub, folder / "python")
    for stand_in in Path(backends.__file__).parent.glob("*/model.py"):
        shutil.copytree(stand_in.parent, folder / stand_in.parent.name)
