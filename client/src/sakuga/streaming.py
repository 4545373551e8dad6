"""Answers with progress: what comes over gRPC's stream from a model's twin."""

import json
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any

import grpc

from sakuga_core import errors, protocol
from sakuga_core.progress import Progress

OnProgress = Callable[[Progress], object]
"""Takes how far a request is: from 0, in growing steps; after a retry from 0 again."""


class NoTwin(Exception):
    """The server can't stream progress of a model: it is an older one, or has its twin not loaded,
    or something between takes no streams."""


async def once(request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """A stream of one request."""
    yield request


async def last_answer(
    answers: AsyncIterable[tuple[Any, Any]], on_progress: OnProgress
) -> Any | None:
    """The answer of a stream that isn't progress; None if the stream ended without one.

    Args:
        answers: pairs of an answer and an error, one of which is None, as tritonclient has them.
        on_progress: takes the progress before it.

    Raises:
        NoTwin: the server has no such model.
        Exception: the error of a pair, or of `on_progress`.
    """
    last = None
    try:
        async for answer, error in answers:
            if error is not None:
                raise NoTwin if _says_missing(error.message() or "") else error
            progress = answer.as_numpy(protocol.PROGRESS)
            if progress is None:
                last = answer
            else:
                on_progress(Progress.from_json(json.loads(progress[0])))
    except grpc.aio.AioRpcError as error:
        raise NoTwin if error.code() == grpc.StatusCode.UNIMPLEMENTED else error from error
    return last


def _says_missing(text: str) -> bool:
    """Whether a message of Triton means that a model isn't there, and not that the server stops;
    an error of the model itself has its class in the message."""
    known = errors.from_message(text) is not None
    return errors.says_not_loaded(text) and not known and errors.GONE not in text
