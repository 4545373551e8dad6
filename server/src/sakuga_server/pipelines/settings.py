"""The parameters of a pipeline in its config.pbtxt."""

import json
from collections.abc import Mapping
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from sakuga_core.config.server import Limits
from sakuga_core.errors import BadOption
from sakuga_core.networks.facts import InpainterFacts, NetworkFacts, SegmenterFacts
from sakuga_core.protocol import canonical

Facts = TypeVar("Facts", NetworkFacts, SegmenterFacts)


class Settings(BaseModel, Generic[Facts]):
    """The parameters of a pipeline whose networks have facts of one kind."""

    model_config = ConfigDict(frozen=True)

    networks: dict[str, Facts]
    defaults: dict[str, Any]
    """Options of requests that name none."""
    limits: Limits

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Mapping[str, str]]) -> Self:
        """`parameters` of a Triton model config: each value is JSON text."""
        return cls.model_validate(
            {name: json.loads(value["string_value"]) for name, value in parameters.items()}
        )

    def unusual(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What of a request's options differs from the defaults: clients send those of their
        configuration with every request."""
        return {
            name: given[name] for name in given if (name, given[name]) not in self.defaults.items()
        }

    def network(self, model: str) -> Facts:
        """
        Raises:
            BadOption: no network has that name.
        """
        try:
            return self.networks[canonical(model)]
        except KeyError:
            allowed = ", ".join(self.networks)
            raise BadOption(f"option 'model' is {model!r}; allowed: {allowed}") from None


class FixSettings(Settings[NetworkFacts]):
    """Those of `fix_artifacts`, which also knows inpainting networks."""

    inpainters: dict[str, InpainterFacts]
