"""Every config.pbtxt of the model repository, written from the rows and config.yaml, and every
pipeline's model.py. With them an empty folder becomes a repository.

The files are committed, so that a repository can be read, reviewed and mounted as it is; they are
never edited. `sakuga export --check` fails where one isn't what these functions write.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from sakuga_core import protocol
from sakuga_core.actions import ACTIONS, Program
from sakuga_core.atomic import write_whole
from sakuga_core.config.schema import Config
from sakuga_core.networks import custom as custom_networks
from sakuga_core.networks.custom import CustomNetwork
from sakuga_core.networks.facts import Listing
from sakuga_core.networks.families import CustomUpscaler
from sakuga_core.networks.registry import (
    ENHANCERS,
    INPAINTERS,
    MEMBERS,
    NETWORKS,
    UPSCALERS,
    configured,
)
from sakuga_core.repository import networks
from sakuga_core.repository.gpu import engine_folder
from sakuga_core.repository.pipelines import ensemble, listings, pipelines, segmenters
from sakuga_core.repository.text import as_text

# The pipelines that no action has to itself: what each is, and its class.
SHARED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        protocol.NETWORKS: (
            "The networks that there are, loaded or not; loads one that a request needs.",
            "sakuga_server.triton.networks:NetworksModel",
        ),
    }
)

HEADER = (
    "# Written by `sakuga export` from the networks' rows and config.yaml; edit those instead.\n"
)


def write(repository: Path, config: Config) -> list[Path]:
    """Writes every file that differs from what it should be.

    Returns:
        The files that were written.

    Raises:
        ConfigError: a custom network isn't described as it should be.
    """
    changed = _changed(repository, config)
    # Without a pause: a running server looks for changes, and takes them once nothing is new.
    for file, text in changed.items():
        write_whole(file, text.encode())
    for network in segmenters(custom_networks.rows(repository)):
        # Triton wants a version of every model, and git keeps no empty folder.
        (repository / protocol.ensemble(network.name) / "1").mkdir(exist_ok=True)
    return list(changed)


def drift(repository: Path, config: Config) -> list[Path]:
    """The files that are missing, or aren't what `config` asks for."""
    return list(_changed(repository, config))


def known(config: Config) -> dict[str, Listing]:
    """What is listed of each network, by name: the registry's, and the repository's custom ones."""
    return listings(config, custom_networks.rows(config.server.repository))


def texts(config: Config, custom: Sequence[CustomNetwork] = ()) -> dict[str, str]:
    """Each model's config.pbtxt, by the name of its folder."""
    models = [
        *pipelines(config, custom),
        *(networks.net(row, config) for row in (*UPSCALERS, *MEMBERS)),
        *(networks.tile_net(configured(row, config), config) for row in ENHANCERS),
        *(networks.custom_net(row, config) for row in custom if isinstance(row, CustomUpscaler)),
        *(networks.inpainting_net(row, config) for row in INPAINTERS),
        *(networks.segmenter_net(row, config) for row in segmenters(custom)),
        *(ensemble(row) for row in segmenters(custom)),
    ]
    return {model["name"]: HEADER + as_text(model) for model in models}


def engine_folders(config: Config) -> list[Path]:
    """The folders that networks keep TensorRT's engines in; TensorRT makes none itself."""
    rows = (*NETWORKS, *custom_networks.rows(config.server.repository))
    return [
        engine_folder(configured(row, config), config)
        for row in rows
        if networks.settings_of(row, config).accelerator == "tensorrt"
    ]


def model_programs() -> dict[str, str]:
    """Each pipeline's model.py, by the name of its folder."""
    shared = {name: _imported(*program) for name, program in SHARED.items()}
    rows = [(a.name.value, a.program) for a in ACTIONS.values() if a.program]
    plain = {name: _wrapped(row, "model_of") for name, row in rows}
    streams = {protocol.streaming(name): _wrapped(row, "stream_of") for name, row in rows}
    return shared | plain | streams


def _changed(repository: Path, config: Config) -> dict[Path, str]:
    configs = texts(config, custom_networks.rows(repository))
    files = {repository / name / "config.pbtxt": text for name, text in configs.items()}
    for name, text in model_programs().items():
        files[repository / name / "1" / "model.py"] = text
    return {
        file: text
        for file, text in files.items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    }


def _imported(about: str, model: str) -> str:
    module, _, name = model.partition(":")
    return f'"""{about}"""\n\nfrom {module} import {name} as TritonPythonModel  # noqa: F401\n'


def _wrapped(program: Program, wrapper: str) -> str:
    module, _, name = program.pipeline.partition(":")
    lines = [
        f'"""{program.about}"""',
        "",
        f"from {module} import {name}",
        f"from sakuga_server.triton.action import {wrapper}",
        "",
        f"TritonPythonModel = {wrapper}({name})",
    ]
    return "\n".join(lines) + "\n"
