"""A block of config.yaml: assignments are checked and kept, and changes of the file taken over."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from sakuga_core.errors import ConfigError
from sakuga_core.options import explain


class Block(BaseModel):
    """A part of config.yaml. An assignment is validated like the file; a rejected one changes
    nothing. An assigned value stays when the file changes.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=False,
        validate_assignment=True,
        allow_inf_nan=False,
    )

    _assigned: set[str] = PrivateAttr(default_factory=set)

    def __setattr__(self, name: str, value: Any) -> None:
        """
        Raises:
            ConfigError: there is no such field, or the value isn't allowed.
        """
        values, known = dict(self.__dict__), set(self.model_fields_set)
        try:
            super().__setattr__(name, value)
        except ValidationError as error:
            # Pydantic assigns before it runs the validators of the whole block.
            self.__dict__.update(values)
            object.__setattr__(self, "__pydantic_fields_set__", known)
            problems = "; ".join(explain(type(self), e, "") for e in error.errors())
            raise ConfigError(problems) from None
        if name in type(self).model_fields:
            self._assigned.add(name)

    def assigned(self, name: str) -> bool:
        """Whether a program assigned that field."""
        return name in self._assigned

    def set_default(self, name: str, value: Any) -> None:
        """Sets a field without counting as an assignment: its value comes from the file, or from
        the place of the file."""
        self.__dict__[name] = value

    def take_over(self, new: "Block") -> None:
        """Takes every value of `new`, except where a program assigned one. The change is made in
        place, so whoever holds this block, or one inside, sees it."""
        for name in set(type(self).model_fields) - self._assigned:
            current, value = getattr(self, name), getattr(new, name)
            if isinstance(current, Block):
                current.take_over(value)
                continue
            self.set_default(name, value)
            known = self.model_fields_set  # the set itself, which is changed in place
            known.add(name) if name in new.model_fields_set else known.discard(name)

    def fields(self, path: str = "") -> Iterator[tuple[str, "Block", str]]:
        """Each value's path, and the block and name that it is under."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Block):
                yield from value.fields(f"{path}{name}.")
            else:
                yield f"{path}{name}", self, name


@dataclass
class Source:
    """The file that a configuration was read from."""

    file: Path
    lines: dict[str, int]
    """The line of each path of the file, from 1."""
    stamp: tuple[int, ...]
    """Of the file, when it was last read: first the time of its last change, in nanoseconds."""
    trusted: bool = False
    """Whether it may name Python code to import: somebody named the file, or it lies in the user's
    own configuration folder. A file that merely lies in the current folder may be a stranger's."""
    gone_since: float | None = None
    """Since when it isn't there, by the monotonic clock; infinite once that was said."""

    @property
    def age(self) -> float:
        """Seconds since it was changed."""
        return time.time() - self.stamp[0] / 1e9

    def place(self, path: str) -> str:
        """The file and line of `path`, else of the nearest block around it."""
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        return f"{self.file}, line {self.lines[path]}" if path else str(self.file)
