"""Every error that Sakuga raises on purpose, with the statuses it travels under: gRPC's and HTTP's.

SakugaError
├── ConfigError            INVALID_ARGUMENT   500  config.yaml can't be used as it is
├── BadInput               INVALID_ARGUMENT   400  the request is wrong: correct it, then send it
│   ├── BadImage           INVALID_ARGUMENT   422  not a picture, truncated, an unsupported format
│   ├── BadOption          INVALID_ARGUMENT   400  an unknown option, or a value not allowed
│   └── TooLarge           INVALID_ARGUMENT   413  over one of the server's limits
├── ModelNotLoaded         NOT_FOUND          404  the server knows the model, but it isn't loaded
│   └── ModelNotInstalled  NOT_FOUND          404  the model isn't in the server's repository
├── ServerUnavailable      UNAVAILABLE        503  no server answers, or it is stopping
│   └── Overloaded         UNAVAILABLE        503  the server's queue is full
├── PermissionDenied       UNAVAILABLE        403  administration without the server's key
├── Cancelled              CANCELLED          503  the caller has gone, and the work was stopped
├── DeadlineExceeded       DEADLINE_EXCEEDED  504  no result within the time allowed
│   └── QueueTimeout       UNAVAILABLE        503  the picture waited in a queue for too long
├── DetectorError          INTERNAL           500  a detector failed; the message names it
├── ProviderError          INTERNAL           500  a custom provider failed; the message names it
└── ServerError            INTERNAL           500  the server failed; its log has the reason

Over gRPC an error is its status and the message "ClassName: message", so its class survives
Triton's short list of statuses, and a client in any language can tell errors apart.
"""

import re
from collections.abc import Iterable
from itertools import accumulate
from typing import Self

from sakuga_core.protocol import PIPELINES


class SakugaError(Exception):
    """The base class of all errors. The message says what is wrong, where, and what to do."""

    status = "INTERNAL"
    """Of gRPC."""
    http_status = 500
    """Of a gateway's answer."""
    remedy = "Do as the message says."
    """What to do, for the documentation."""

    def to_message(self) -> str:
        """The error as it travels: "ClassName: message", shortened in the middle to what gRPC
        carries."""
        return _shortened(f"{type(self).__name__}: {self}")


class ConfigError(SakugaError):
    status = "INVALID_ARGUMENT"
    remedy = "Correct the line that the message names; `sakuga config check` looks for more."


class BadInput(SakugaError):
    status = "INVALID_ARGUMENT"
    http_status = 400
    remedy = "Correct the request as the message says, then send it again."


class BadImage(BadInput):
    http_status = 422
    remedy = "Send a whole file of a format that the server reads."


class BadOption(BadInput):
    remedy = "Take an option or a value that the message lists."


class TooLarge(BadInput):
    http_status = 413
    remedy = "Send something smaller, or raise the setting under `limits` in config.yaml."


class ModelNotLoaded(SakugaError):
    status = "NOT_FOUND"
    http_status = 404
    remedy = "Run `sakuga models load NAME`, or set `server.load_on_demand: true`."

    @classmethod
    def loadable(cls, model: str) -> Self:
        """For a model that the server could load, but doesn't load on request."""
        return cls(
            f"model {model!r} isn't loaded on this server; load it with "
            f"`sakuga models load {model}`, or name it in the server's config.yaml, "
            "or set server.load_on_demand there"
        )


class ModelNotInstalled(ModelNotLoaded):
    remedy = "Run `sakuga export NAME` where the server has its repository."

    @classmethod
    def exportable(cls, model: str, others: Iterable[str] = ()) -> Self:
        """For a model that hasn't been exported into the server's repository.

        Args:
            others: models of the same kind that have been.
        """
        listed = ", ".join(others)
        return cls(
            f"model {model!r} isn't in this server's repository; "
            f"export it with `sakuga export {model}`"
            + (f", or name one that is there: {listed}" if listed else "")
        )


class ServerUnavailable(SakugaError):
    status = "UNAVAILABLE"
    http_status = 503
    remedy = "Start a server (`sakuga serve`), or correct `server.url`."


class Overloaded(ServerUnavailable):
    remedy = "Send it again later, or fewer at once; add servers if it lasts."


class PermissionDenied(SakugaError):
    status = "UNAVAILABLE"
    http_status = 403
    remedy = "Give the key: SAKUGA_ADMIN_KEY of a server, SAKUGA_KEY of a gateway."


class Cancelled(SakugaError):
    status = "CANCELLED"
    http_status = 503
    remedy = "Nothing, where the caller wanted that; else send it again."


class DeadlineExceeded(SakugaError):
    status = "DEADLINE_EXCEEDED"
    http_status = 504
    remedy = "Raise `server.timeout`, or send a smaller picture."


class QueueTimeout(DeadlineExceeded):
    status = "UNAVAILABLE"
    http_status = 503
    remedy = "Raise `server.timeout`, send it again later, or add servers."


class DetectorError(SakugaError):
    remedy = "Correct the detector that the message names."


class ProviderError(SakugaError):
    remedy = "Correct the provider that the message names."


class ServerError(SakugaError):
    remedy = "Look for the request in the server's log; it has the reason."


_BY_NAME: dict[str, type[SakugaError]] = {
    error.__name__: error
    for error in (
        *(BadInput, BadImage, BadOption, TooLarge, ModelNotLoaded, ModelNotInstalled),
        *(ServerUnavailable, Overloaded, Cancelled, DeadlineExceeded, QueueTimeout),
        *(DetectorError, ServerError),
    )
}

# Bytes of a message in gRPC's trailers, of which clients take 8 kB, other trailers included.
LONGEST = 6000


def _shortened(text: str) -> str:
    """What is left of a text so that it has at most LONGEST bytes as gRPC encodes it: three for
    each byte that isn't a printable character of ASCII."""
    sizes = [1 if " " <= c <= "~" and c != "%" else 3 * len(c.encode()) for c in text]
    if sum(sizes) <= LONGEST:
        return text
    half = LONGEST // 2 - len(" … ".encode()) * 3
    head, tail = _fitting(sizes, half), _fitting(sizes[::-1], half)
    return f"{text[:head]} … {text[len(text) - tail :]}"


def _fitting(sizes: list[int], most: int) -> int:
    """How many of the first have together at most so much."""
    return sum(total <= most for total in accumulate(sizes))


# Triton's messages for a model that was never loaded, was unloaded, or is a step of an ensemble and
# one of these.
GONE = "no available versions"
NOT_LOADED = ("unknown model", "not ready", "not at ready state", GONE)

# Of a server that is stopping: its scheduler's message, and, soon after, that of unloaded models.
STOPPING = "has stopped accepting"

# Of a model of which a process has died; the server loads it again.
DIED = ("is not healthy", "health mutex")

# Of a picture, or a tile, that /dev/shm has no room for.
CROWDED = "shared memory pool"

_MESSAGE = re.compile(rf"\b({'|'.join(_BY_NAME)}): (.+)", re.DOTALL)


def from_message(text: str) -> SakugaError | None:
    """The error whose `to_message` is in a text, or None.

    Args:
        text: gRPC's message. Triton adds a prefix (an ensemble names the step that failed), so the
            class name may stand anywhere.
    """
    found = _MESSAGE.search(text)
    return _BY_NAME[found[1]](found[2]) if found else None


def by_name(name: object) -> type[SakugaError] | None:
    """The class of that name, as HTTP's problem details have it; None if there is none."""
    kind = globals().get(str(name))
    return kind if isinstance(kind, type) and issubclass(kind, SakugaError) else None


def says_not_loaded(text: str) -> bool:
    """Whether a message of Triton means that a model isn't loaded; it has several wordings."""
    return any(words in text for words in NOT_LOADED)


def says_died(text: str) -> bool:
    """Whether a message of Triton means that a process of a model has died."""
    return any(words in text for words in DIED)


def says_crowded(text: str) -> bool:
    """Whether a message of Triton means that shared memory is short."""
    return CROWDED in text


def says_stopping(text: str, model: str) -> bool:
    """Whether a message of Triton means that it is stopping.

    Pipelines are never unloaded while it runs, so an unloaded one means that it is stopping.
    """
    return STOPPING in text or (GONE in text and model in PIPELINES)


def is_retryable(error: SakugaError) -> bool:
    """Whether a retry may succeed: on another server, or on this one once it is back.

    A full queue isn't retried, as that would keep it full: the caller decides.
    """
    return isinstance(error, ServerUnavailable | QueueTimeout) and not isinstance(error, Overloaded)
