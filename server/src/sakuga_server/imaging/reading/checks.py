"""What a file must pass before its pixels are decoded, and whose fault errors and warnings are."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten
from threading import get_ident

import imagecodecs
from PIL import UnidentifiedImageError

from sakuga_core.config.server import Limits
from sakuga_core.errors import BadImage, SakugaError, TooLarge

MOST_LETTERS = 120  # of a library's reason

# What libraries raise with a text that was written for people; the others' tells of their insides.
_WORDED = (OSError, ValueError, SyntaxError, RuntimeError, EOFError)
_EMPTY = ("Generic Error", "decoder error")  # texts of theirs that say nothing


def check_bytes(data: bytes, limits: Limits) -> None:
    """
    Raises:
        BadImage: there are none.
        TooLarge: there are more than the limit.
    """
    if not data:
        raise BadImage("the image is empty (0 bytes)")
    if len(data) > limits.input_bytes:
        raise TooLarge(
            f"the file has {len(data)} bytes; "
            f"allowed: {limits.input_bytes}, the server's limits.input_bytes"
        )


def check_size(width: int, height: int, limits: Limits, title: str) -> None:
    """
    Raises:
        BadImage: a side has no pixels.
        TooLarge: over the limit of pixels.
    """
    if width < 1 or height < 1:
        raise BadImage(f"the {title} file says that its picture is {width}x{height} pixels")
    if width * height > limits.input_pixels:
        raise TooLarge(
            f"the image has {width}x{height} = {width * height} pixels; "
            f"allowed: {limits.input_pixels}, the server's limits.input_pixels"
        )


def check_count(count: int, limits: Limits) -> None:
    """
    Raises:
        TooLarge: more frames than the limit allows.
    """
    if count > limits.frames:
        raise TooLarge(f"the animation has {count} frames or more; allowed: {limits.frames}")


@contextmanager
def blaming(title: str) -> Iterator[None]:
    """For calls into a library with a file's bytes: whatever it raises is the file's fault.

    Raises:
        BadImage: with the library's reason, where that says something.
    """
    try:
        yield
    except SakugaError:
        raise
    except Exception as error:
        raise damaged(title, _reason(error)) from error


@contextmanager
def library_warnings() -> Iterator[list[str]]:
    """What imagecodecs warns of in this thread. It stays out of the log, which doesn't tell whose
    file it was."""
    log, thread, found = logging.getLogger(imagecodecs.__name__), get_ident(), list[str]()

    def keep(record: logging.LogRecord) -> bool:
        if record.thread == thread:
            found.append(record.getMessage())
        return record.thread != thread

    log.addFilter(keep)
    try:
        yield found
    finally:
        log.removeFilter(keep)


def damaged(title: str, reason: str) -> BadImage:
    return BadImage(f"the {title} file is truncated or damaged: {reason}")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its header makes no sense"
    lines = str(error).splitlines()
    if not lines or isinstance(error, UnicodeError) or not isinstance(error, _WORDED):
        return "its structure makes no sense"
    if any(words in lines[0] for words in _EMPTY):
        return "its data can't be decoded"
    return shorten(lines[0], MOST_LETTERS, placeholder="…")
