"""What every route needs, made once for an app."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from sakuga import Images
from sakuga_core.config.schema import Config
from sakuga_gateway.access import Access, Caller
from sakuga_gateway.metrics import Metrics

if TYPE_CHECKING:
    from sakuga_gateway.jobs.jobs import Jobs


@dataclass
class Context:
    """The parts of a gateway."""

    config: Config
    access: Access
    metrics: Metrics
    images: Images
    jobs: "Jobs"


async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Here = Annotated[Context, Depends(_context)]


async def _caller(request: Request, here: Here) -> Caller:
    return here.access.caller(request)


Known = Annotated[Caller, Depends(_caller)]
"""Who calls; a request that may not be made is refused."""


async def _in_place(here: Here, caller: Known) -> AsyncIterator[Caller]:
    async with here.access.place(caller):
        yield caller


InPlace = Annotated[Caller, Depends(_in_place, scope="function")]
"""Who calls, with a place for a picture in work, which is free again before the answer is sent: who
has it may send the next picture at once."""
