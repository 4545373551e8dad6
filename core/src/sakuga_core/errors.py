"""Every error that Sakuga raises on purpose, with the gRPC status it travels under.

SakugaError
├── ConfigError            config.yaml or the environment can't be used as it is
├── BadInput               the request is at fault: repair it, then send it again
│   ├── BadImage           INVALID_ARGUMENT   not a picture, truncated, of an unknown kind
│   ├── BadOption          INVALID_ARGUMENT   an unknown option, or a value that isn't allowed
│   └── TooLarge           INVALID_ARGUMENT   over one of the server's limits
├── ModelNotLoaded         NOT_FOUND          the server has the model, but doesn't serve it now
│   └── ModelNotInstalled  NOT_FOUND          the server knows the model, but it was never exported
├── ServerUnavailable      UNAVAILABLE        nobody answers, or the server is stopping
│   └── Overloaded         UNAVAILABLE        the server's queue is full
├── PermissionDenied       UNAVAILABLE        administration without the server's key
├── Cancelled              CANCELLED          the caller has gone, and the work was stopped
├── DeadlineExceeded       DEADLINE_EXCEEDED  the answer didn't come in the time allowed
│   └── QueueTimeout       UNAVAILABLE        the picture waited in a queue for too much of it
├── DetectorError          INTERNAL           a detector of artifacts failed, by name
├── ProviderError          INTERNAL           a provider of the caller's own failed, by name
└── ServerError            INTERNAL           the server failed; its log has the reason

On the wire an error is its status and the text "ClassName: message", so the class survives Triton's
short list of statuses, and a client in any language can tell one from another.
"""

import re
from typing import Self

from sakuga_core.protocol import PIPELINES


class SakugaError(Exception):
    """The root: catch this one to catch them all. Its text is for a person to act on."""

    status = "INTERNAL"

    def to_message(self) -> str:
        return f"{type(self).__name__}: {self}"


class ConfigError(SakugaError):
    status = "INVALID_ARGUMENT"


class BadInput(SakugaError):
    status = "INVALID_ARGUMENT"


class BadImage(BadInput):
    pass


class BadOption(BadInput):
    pass


class TooLarge(BadInput):
    pass


class ModelNotLoaded(SakugaError):
    status = "NOT_FOUND"

    @classmethod
    def loadable(cls, model: str) -> Self:
        """For a model that this server only has to be told to load."""
        return cls(
            f"model {model!r} isn't loaded on this server; load it with "
            f"`sakuga models load {model}`, or name it in the server's config.yaml, "
            "or set server.load_on_demand there"
        )


class ModelNotInstalled(ModelNotLoaded):
    @classmethod
    def exportable(cls, model: str) -> Self:
        """For a model that exists, but not in this server's repository."""
        return cls(
            f"model {model!r} isn't in this server's repository; "
            f"export it with `sakuga-export {model}`"
        )


class ServerUnavailable(SakugaError):
    status = "UNAVAILABLE"


class Overloaded(ServerUnavailable):
    pass


class PermissionDenied(SakugaError):
    status = "UNAVAILABLE"


class Cancelled(SakugaError):
    status = "CANCELLED"


class DeadlineExceeded(SakugaError):
    status = "DEADLINE_EXCEEDED"


class QueueTimeout(DeadlineExceeded):
    status = "UNAVAILABLE"


class DetectorError(SakugaError):
    pass


class ProviderError(SakugaError):
    pass


class ServerError(SakugaError):
    pass


_BY_NAME: dict[str, type[SakugaError]] = {
    error.__name__: error
    for error in (
        *(BadInput, BadImage, BadOption, TooLarge, ModelNotLoaded, ModelNotInstalled),
        *(ServerUnavailable, Overloaded, Cancelled, DeadlineExceeded, QueueTimeout),
        *(DetectorError, ServerError),
    )
}

# Never loaded, unloaded, on the way out, and a step of an ensemble that is one of these.
GONE = "no available versions"
NOT_LOADED = ("unknown model", "not ready", "not at ready state", GONE)

# A server that is on its way out: its scheduler's words, and, soon after, those for models that are
# gone. (Also of one whose process died in the middle of a picture; Triton starts it again.)
STOPPING = ("has stopped accepting", "is not healthy")

_WIRE = re.compile(rf"\b({'|'.join(_BY_NAME)}): (.+)", re.DOTALL)


def from_message(text: str) -> SakugaError | None:
    """The error that `to_message` wrote into `text`, or None where it holds none.

    Triton puts its own words before the text (an ensemble names the step that failed), so the
    class name is looked for anywhere.
    """
    found = _WIRE.search(text)
    return _BY_NAME[found[1]](found[2]) if found else None


def says_not_loaded(text: str) -> bool:
    """Whether Triton means that a model isn't served now, for which it has several wordings."""
    return any(words in text for words in NOT_LOADED)


def says_stopping(text: str, model: str) -> bool:
    """Whether Triton means that it is stopping, or a process of it went down.

    Pipelines are never unloaded while it runs, so one that is gone says that all of them are.
    """
    return any(words in text for words in STOPPING) or (GONE in text and model in PIPELINES)


def is_retryable(error: SakugaError) -> bool:
    """Whether another attempt may succeed: with another server, or this one once it is back.

    A full queue isn't for another attempt: that would keep it full. Its caller decides.
    """
    return isinstance(error, ServerUnavailable | QueueTimeout) and not isinstance(error, Overloaded)
