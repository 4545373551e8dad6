"""Where the result of one picture goes."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sakuga.files.found import Item
from sakuga.files.naming import Template, suffix_of
from sakuga.files.sources import Identity
from sakuga.files.stores import Store
from sakuga_core.errors import BadInput
from sakuga_core.formats import FileFormat


@dataclass
class Originals:
    """The files that are read, which no result replaces."""

    items: dict[str, Item] = field(default_factory=dict)
    """By their key."""
    names: dict[Identity, str] = field(default_factory=dict)

    def at(self, store: Store, path: str) -> str | None:
        """The name of the original that is at a path, itself or by a link; None: none is."""
        if item := self.items.get(store.key(path)):
            return item.source.name
        identity = store.identity(path)
        return self.names.get(identity) if identity else None


class GivenUp(OSError):
    """Another part of a result failed, so nothing of it is written."""


class Target(Protocol):
    """The place of one result."""

    @property
    def formats(self) -> tuple[FileFormat, ...]:
        """That the result may have, the likeliest first."""

    @property
    def is_given_up(self) -> bool:
        """Whether nothing can be written there any more."""

    def write(
        self, data: bytes, format: FileFormat | None, sizes: Mapping[str, object] | None
    ) -> str:
        """Writes a result.

        Args:
            format: of `data`; None: as foreseen.
            sizes: `scale`, `width` and `height` of it.

        Returns:
            Its name, for messages.

        Raises:
            GivenUp: it was given up.
            OSError, BadInput: it can't be written.
        """

    def give_up(self) -> str:
        """Says that there won't be a result; returns what else isn't written then, the first time
        that this is so."""


@dataclass(frozen=True)
class FileTarget:
    """A file of its own."""

    store: Store
    template: Template
    formats: tuple[FileFormat, ...]
    """That the result may have, the likeliest first."""
    originals: Originals
    replace: bool
    paths: tuple[str, ...] = ()
    """Those that it may get, by its format; none where only its size will tell."""
    is_given_up: bool = False

    def write(
        self, data: bytes, format: FileFormat | None, sizes: Mapping[str, object] | None
    ) -> str:
        """See `Target`; a file of another name than foreseen replaces nothing."""
        try:
            path = self.template.path(suffix_of(format or self.formats[0]), sizes)
        except KeyError as error:
            raise BadInput(f"-o needs {error}, which the provider doesn't tell") from None
        is_foreseen = path in self.paths
        if not is_foreseen and self.originals.at(self.store, path):
            raise FileExistsError(errno.EEXIST, "an original is there", self.store.name(path))
        may_replace = self.replace and (is_foreseen or not self.paths)
        self.store.write(path, data, replace=may_replace)
        return self.store.name(path)

    def give_up(self) -> str:
        """See `Target`."""
        return ""
