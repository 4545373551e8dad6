"""What a pipeline says of its work, beside the picture."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sakuga_server.pipelines.picture import Picture


class Stages(dict[str, float]):
    """Milliseconds by the name of the stage that took them."""

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self[name] = round(1000 * (time.perf_counter() - start), 1)


def facts(picture: Picture, size: int) -> dict[str, Any]:
    """A picture in the report; `size` is that of its file, in bytes."""
    about = {"width": picture.width, "height": picture.height}
    return {**about, "mode": picture.mode, "bytes": size}
