"""The server of this machine for one command, with the models that its pictures need."""

from collections.abc import Mapping
from typing import Any

from sakuga.cli.running import IN_FLIGHT
from sakuga.files import Plan, Task
from sakuga.files.sources import LocalFile
from sakuga.local import AUTO, LocalServer
from sakuga_core import protocol
from sakuga_core.actions import Action
from sakuga_core.animated import animated
from sakuga_core.config.schema import Config

HEAD = 2**16  # bytes of a file, in which a PNG says that it is animated


def local_server(
    config: Config,
    action: Action,
    made: Plan,
    options: Mapping[str, Any],
    always_start: bool,
    quiet: bool,
) -> LocalServer | None:
    """The server of this machine, already starting if it has to be; None where an address says
    which server it is.

    Args:
        config: of the server.
        action: what is done…
        made: …to which pictures…
        options: …as requested.
        always_start: start one even if another answers.
        quiet: whether nobody wants to know how far it is.
    """
    if config.server.url != AUTO and not always_start:
        return None
    models = _models(config, action, made, options, quiet)
    workers = min(len(made.tasks), IN_FLIGHT)
    local = LocalServer(config, models, workers=workers, always_start=always_start)
    local.begin()
    return local


def _models(
    config: Config, action: Action, made: Plan, options: Mapping[str, Any], quiet: bool
) -> list[str]:
    """The Triton models that the pictures need; a custom provider may need any."""
    if config.block(action.name).provider:
        return []
    named = {name: value for name, value in options.items() if name == "model"}
    model = config.options_for(action.name, named)["model"]
    folder = protocol.folder(model)
    # What loads further networks is needed where one isn't there to be loaded now.
    is_exported = any((config.server.repository / folder / "1").glob("model.*"))
    loader = [] if is_exported and not action.loads_more else [protocol.NETWORKS]
    frames = action.frames_model is not None and any(map(_may_have_frames, made.tasks))
    return [*loader, *action.models_for(model, frames=frames, progress=not quiet)]


def _may_have_frames(task: Task) -> bool:
    """Whether a picture may have several frames or pages; of a PNG its beginning tells."""
    row = task.format
    if row is None or not (row.animation or row.pages):
        return False
    if row.name != "png" or not isinstance(task.source, LocalFile):
        return True
    try:
        with task.source.open() as file:
            return animated(file.read(HEAD))
    except OSError:  # which is reported when its turn comes
        return False
