"""Which Triton models a repository can serve, and which of them config.yaml wants loaded."""

import re
from pathlib import Path

from sakuga_core.actions import ImageAction
from sakuga_core.config.schema import Config
from sakuga_core.networks.registry import INPAINTERS
from sakuga_core.protocol import (
    ALPHA_MATTING,
    FIX_ARTIFACTS,
    NETWORKS,
    REMBG_PREPARE,
    UPSCALE,
    canonical,
    ensemble,
    folder,
)

# In a config.pbtxt: a step of an ensemble, and the file of a network.
STEP = re.compile(r'model_name: "(.+)"')
FILE = re.compile(r'default_model_filename: "(.+)"')

PIPELINES = {
    ImageAction.UPSCALE: (UPSCALE,),
    ImageAction.ENHANCE: (UPSCALE,),
    ImageAction.REMBG: (REMBG_PREPARE, ALPHA_MATTING),
    ImageAction.FIX_ARTIFACTS: (FIX_ARTIFACTS,),
}


def servable(repository: Path) -> list[str]:
    """The models of a repository that are complete: configured, and exported where need be."""
    configs = configured(repository)
    files = {name: FILE.findall(text) or ["model.py"] for name, text in configs.items()}
    complete = [n for n in configs if (repository / n / "1" / files[n][0]).exists()]
    for name, text in configs.items():
        steps = STEP.findall(text)
        if steps and set(steps) <= set(complete):
            complete.append(name)
    return complete


def configured(repository: Path) -> dict[str, str]:
    """The text of each model's config.pbtxt, by the model's name."""
    files = sorted(repository.glob("*/config.pbtxt"))
    return {file.parent.name: file.read_text(encoding="utf-8") for file in files}


def wanted(config: Config) -> list[str]:
    """What of a repository has to be loaded: its pipelines, and what the actions and `preload`
    name, as far as it is there. Steps come before the ensembles that they are of."""
    possible = servable(config.server.repository)
    if config.server.preload == "all":
        return possible
    pipelines = set(possible) - set(optional(config.server.repository))
    return [name for name in possible if name in pipelines.union(_named(config))]


def needed(config: Config, action: ImageAction, model: str) -> list[str]:
    """What of a repository one action by one network needs, as far as it is there; more is loaded
    on demand."""
    names = {NETWORKS, *PIPELINES[action], folder(model), ensemble(model)}
    return [name for name in servable(config.server.repository) if name in names]


def optional(repository: Path) -> list[str]:
    """The networks of a repository, and their ensembles: what may be loaded or not."""
    texts = configured(repository)
    return [name for name, text in texts.items() if FILE.search(text) or STEP.search(text)]


def is_door(model: str) -> bool:
    """Whether clients call that Triton model; the others are called by pipelines, or are steps."""
    cuts_out = model.startswith("rembg_") and model != REMBG_PREPARE
    return cuts_out or model in (UPSCALE, FIX_ARTIFACTS, NETWORKS)


def _named(config: Config) -> list[str]:
    """The networks' folders, and ensembles, that config.yaml means."""
    image = config.providers.image
    actions = ("upscale", "fix_artifacts", "enhance", "rembg")
    models = [
        str(getattr(config, f"{action}_options")({})["model"])
        for action in actions
        if getattr(image, action).provider is None
    ]
    models += [canonical(model) for model in config.server.preload]
    models += _painters(config)
    return [*map(folder, models), *map(ensemble, models)]


def _painters(config: Config) -> list[str]:
    """Networks that paint: the one that is named; for `auto`, those there are, unless they can be
    loaded once there is something to paint."""
    asked = config.options_for("fix_artifacts").get("inpaint", "auto")
    if asked == "auto":
        return [] if config.server.load_on_demand else [row.name for row in INPAINTERS]
    return [asked]
