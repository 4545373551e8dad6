"""The parameters of a pipeline in its config.pbtxt."""

import json
from collections.abc import Mapping
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from sakuga_core.config.server import Limits
from sakuga_core.errors import BadOption
from sakuga_core.networks.facts import InpainterFacts, NetworkFacts, SegmenterFacts
from sakuga_core.protocol import canonical
from sakuga_server.pipelines import family

Facts = TypeVar("Facts", NetworkFacts, SegmenterFacts)


class Settings(BaseModel, Generic[Facts]):
    """The parameters of a pipeline whose networks have facts of one kind."""

    model_config = ConfigDict(frozen=True)

    networks: dict[str, Facts]
    defaults: dict[str, Any]
    """Options of requests that name none."""
    limits: Limits
    refused: dict[str, str] = {}
    """The licences of networks that may not be used because of them, by name."""

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Mapping[str, str]]) -> Self:
        """`parameters` of a Triton model config: each value is JSON text."""
        return cls.model_validate(
            {name: json.loads(value["string_value"]) for name, value in parameters.items()}
        )

    def unusual(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What of a request's options differs from the defaults: clients send those of their
        configuration with every request."""
        return differing(given, self.defaults)

    def network(self, model: str) -> Facts:
        """
        Raises:
            BadOption: no network has that name, or its licence isn't wanted.
        """
        if licence := self.refused.get(canonical(model)):
            raise BadOption(
                f"option 'model' is {model!r}, whose licence is {licence!r}; allowed: permissive "
                "licences (server.licences)"
            )
        try:
            return self.networks[canonical(model)]
        except KeyError:
            called = (getattr(f, "family", None) or name for name, f in self.networks.items())
            allowed = ", ".join(dict.fromkeys(called))
            raise BadOption(f"option 'model' is {model!r}; allowed: {allowed}") from None


def differing(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What of `given` isn't as the defaults have it."""
    return {name: each for name, each in given.items() if (name, each) not in defaults.items()}


class UpscaleSettings(Settings[NetworkFacts]):
    """Those of pipelines that upscale."""

    blocks: dict[str, dict[str, Any]] = {}
    """The same, by the block of config.yaml that applies to the network; empty the name of none."""

    def candidates(self, model: str) -> dict[str, NetworkFacts]:
        """The networks that a name stands for: those of a family, or one.

        Raises:
            BadOption: there is none.
        """
        names = [*family.members(self.networks, model)] or [canonical(model)]
        return {name: self.network(name) for name in names}

    def defaults_for(self, model: str, facts: NetworkFacts) -> dict[str, Any]:
        """Options of requests for a model that name none; of the model those don't tell."""
        options = self.blocks.get(facts.block or "", self.defaults)
        if model == canonical(self.defaults.get("model", "")):
            return options
        # Each family has levels of its own.
        return {name: value for name, value in options.items() if name != "denoise_level"}


class FixSettings(UpscaleSettings):
    """Those of `fix_artifacts`, which also knows inpainting networks."""

    inpainters: dict[str, InpainterFacts]
