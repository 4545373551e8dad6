"""Which Triton models a repository can serve, and which of them config.yaml wants loaded."""

import re
from pathlib import Path

from sakuga_core.actions import ACTIONS
from sakuga_core.config.schema import Config
from sakuga_core.networks.registry import INPAINTERS, members
from sakuga_core.protocol import PIPELINES, ensemble, folder

# In a config.pbtxt, the file of a network.
FILE = re.compile(r'default_model_filename: "(.+)"')


def servable(repository: Path) -> list[str]:
    """The models of a repository that are complete: configured, and exported where need be.
    Ensembles come last."""
    configs = configured(repository)
    files = {name: FILE.findall(text) or ["model.py"] for name, text in configs.items()}
    complete = [n for n in configs if (repository / n / "1" / files[n][0]).exists()]
    ensembles = {ensemble(name) for name in complete}
    return complete + [name for name in configs if name in ensembles and _is_ensemble(name)]


def configured(repository: Path) -> dict[str, str]:
    """The text of each model's config.pbtxt, by the model's name."""
    files = sorted(repository.glob("*/config.pbtxt"))
    return {file.parent.name: file.read_text(encoding="utf-8") for file in files}


def wanted(config: Config, repository: Path) -> list[str]:
    """The models of a runtime repository that have to be loaded: its pipelines, and what the
    actions and `preload` name, as far as it is exported."""
    possible = servable(repository)
    if config.server.preload == "all":
        return possible
    pipelines = set(possible) - set(optional(repository))
    return [name for name in possible if name in pipelines.union(_named(config))]


def optional(repository: Path) -> list[str]:
    """The networks of a repository, and their ensembles: what may be loaded or not."""
    texts = configured(repository)
    return [name for name, text in texts.items() if FILE.search(text) or _is_ensemble(name)]


def is_public(model: str) -> bool:
    """Whether clients call that Triton model; the others are called by pipelines."""
    return model in PIPELINES or _is_ensemble(model)


def _is_ensemble(model: str) -> bool:
    return model.startswith(ensemble("")) and model not in PIPELINES


def _named(config: Config) -> list[str]:
    """The networks, by the names of their folders and ensembles, that config.yaml names."""
    models = [
        str(config.options_for(action)["model"])
        for action in ACTIONS
        if config.block(action).provider is None
    ]
    models += [*config.server.preload, *_inpainters(config)]
    models = [network for model in models for network in members(model)]
    return [*map(folder, models), *map(ensemble, models)]


def _inpainters(config: Config) -> list[str]:
    """Inpainting networks: the named one; for `auto` all, unless they can be loaded on demand."""
    requested = config.options_for("fix_artifacts").get("inpaint", "auto")
    if requested == "auto":
        return [] if config.server.load_on_demand else [row.name for row in INPAINTERS]
    return [requested]
