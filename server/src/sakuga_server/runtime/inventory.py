"""What the repository holds: networks, exported or not, loaded or not, and their memory."""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from sakuga_core import protocol
from sakuga_core.errors import BadOption, ModelNotInstalled, ModelNotLoaded
from sakuga_core.networks.facts import Listing
from sakuga_core.protocol import canonical
from sakuga_server.runtime import processes
from sakuga_server.runtime.repository import take_over


class NetworksOptions(BaseModel):
    """Options of `networks`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    load: str | None = None
    """The network to load, instead of telling of all of them."""


class Inventory:
    """The networks that the pipelines know, and what the repository has of them.

    Args:
        repository: the model repository.
        networks: the rows, by name.
        on_demand: whether requests may have networks loaded.
    """

    def __init__(self, repository: Path, networks: Mapping[str, Listing], on_demand: bool) -> None:
        self.repository = repository
        self.networks = networks
        self.on_demand = on_demand

    @classmethod
    def from_parameters(cls, repository: Path, parameters: Mapping[str, Mapping[str, str]]) -> Self:
        """From the parameters of config.pbtxt: each value is JSON text."""
        values = {name: json.loads(value["string_value"]) for name, value in parameters.items()}
        networks = {n: Listing.model_validate(row) for n, row in values["networks"].items()}
        return cls(repository, networks, values["load_on_demand"])

    def file(self, name: str) -> Path:
        """Where a network's export lies, or would lie."""
        return self.repository / protocol.folder(name) / "1" / self.networks[name].file

    def folder(self, model: str) -> str:
        """The Triton model of a network.

        Raises:
            BadOption: there is no such network.
        """
        if canonical(model) not in self.networks:
            allowed = ", ".join(self.networks)
            raise BadOption(f"option 'model' is {model!r}; allowed: {allowed}")
        return protocol.folder(model)

    def check_loadable(self, model: str) -> None:
        """
        Raises:
            ModelNotInstalled: it was never exported.
            ModelNotLoaded: requests may not have it loaded here.
        """
        file = self.file(canonical(model))
        if not (file.exists() or take_over(file)):
            raise ModelNotInstalled.exportable(model, self._exported_like(canonical(model)))
        if not self.on_demand:
            raise ModelNotLoaded.loadable(model)

    def _exported_like(self, model: str) -> list[str]:
        """Networks and other families that do the same, and are exported."""
        this = self.networks[model]
        exported = {n: row for n, row in self.networks.items() if self.file(n).exists()}
        names = (row.family or n for n, row in exported.items() if row.kind == this.kind)
        return [name for name in dict.fromkeys(names) if name != this.family]

    def listed(self, ready: Callable[[str], bool]) -> dict[str, dict[str, Any]]:
        """Each network's row, and its state."""
        memory = memory_of_stubs(os.getppid())  # of Triton, which started this process
        return {
            name: {**row.model_dump(), **self._state(name, ready, memory)}
            for name, row in self.networks.items()
        }

    def _state(
        self, name: str, ready: Callable[[str], bool], memory: Mapping[str, int]
    ) -> dict[str, Any]:
        file, folder = self.file(name), protocol.folder(name)
        installed = file.exists()
        return {
            "installed": installed,
            "megabytes": file.stat().st_size >> 20 if installed else None,
            "loaded": installed and ready(folder),
            "memory": memory.get(folder),
        }


def memory_of_stubs(server: int) -> dict[str, int]:
    """Megabytes that each model of the Python backend holds, all its processes together, pages that
    they share counted in part.

    Args:
        server: the process that started them.
    """
    held: dict[str, int] = {}
    for stub in processes.stubs_of(server):
        with suppress(OSError):  # ended meanwhile
            held[stub.model] = held.get(stub.model, 0) + processes.proportional_kilobytes(stub.pid)
    return {model: kilobytes >> 10 for model, kilobytes in held.items()}
