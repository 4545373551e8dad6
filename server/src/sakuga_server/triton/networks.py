"""Lists the networks of this server, and loads one that a request needs."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb

from sakuga_core import protocol
from sakuga_core.errors import ServerError
from sakuga_core.options import parse_options
from sakuga_server.imaging.picture import Array
from sakuga_server.runtime.inventory import Inventory, NetworksOptions
from sakuga_server.triton.model import PictureModel, options_of, text_tensor

log = logging.getLogger("sakuga")


class NetworksModel(PictureModel):
    """Triton's `networks`: tells of them, and loads one that a request needs.

    It has one instance, so that pictures which need the same network don't load it twice.
    """

    def initialize(self, args: Mapping[str, str]) -> None:
        self.repository = Path(args["model_repository"]).parent
        super().initialize(args)

    def start(self, parameters: Mapping[str, Mapping[str, str]]) -> None:
        self.inventory = Inventory.from_parameters(self.repository, parameters)

    async def answer(self, request: Any) -> dict[str, Array]:
        options, report = parse_options(NetworksOptions, options_of(request)), {}
        if options.load:
            self._load(options.load)
        else:
            report["networks"] = self.inventory.listed(_ready)
        return {protocol.REPORT: text_tensor(json.dumps(report).encode())}

    def _load(self, name: str) -> None:
        model = self.inventory.folder(name)
        if _ready(model):
            return
        self.inventory.check_loadable(name)
        try:
            pb.load_model(model_name=model)
        except Exception:
            log.exception("%s can't be loaded", model)
            raise ServerError(f"model {name!r} can't be loaded; the server's log has why") from None


def _ready(model: str) -> bool:
    return bool(pb.is_model_ready(model_name=model))
