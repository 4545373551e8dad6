"""What the options of `sakuga` itself say, for all of its commands."""

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sakuga_core.config.schema import Config


class Settings:
    """What the options of `sakuga` say; the object of click's context.

    Raises:
        ClickException: `config` can't be used as it is.
    """

    def __init__(self, file: str | None = None, url: str | None = None) -> None:
        self.file, self.url = file, url

    @cached_property
    def config(self) -> "Config":
        """The configuration, read when a command first needs it."""
        from sakuga.cli.errors import plain_errors
        from sakuga_core.config.file import load_config

        with plain_errors():
            config = load_config(self.file)
            if self.url:
                config.server.url = self.url
        return config
