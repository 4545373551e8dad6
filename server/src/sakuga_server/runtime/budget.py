"""What `sakuga serve` says of memory: what config.yaml allows, what there is, what would fit."""

from collections.abc import Collection, Iterator

from sakuga_core.config.schema import Config
from sakuga_core.memory import Need, fitting, least, need

GB = 2**30


def lines(config: Config, loaded: Collection[str], memory: int) -> Iterator[str]:
    """
    Args:
        config: of the server.
        loaded: its Triton models.
        memory: bytes that the machine, or the container, has.
    """
    allowed, changes = need(config, loaded), fitting(config, memory, loaded)
    yield f"Memory: config.yaml allows up to {_listed(allowed)}; there are {_gb(memory)}"
    if changes is None:
        yield f"Even the smallest limits allow up to {_gb(least(config, loaded))}"
    elif changes:
        listed = ", ".join(f"{path}: {value}" for path, value in changes.items())
        yield f"Enough of the largest pictures would exhaust it; these settings fit: {listed}"


def _listed(need: Need) -> str:
    parts = {
        "waiting files": need.queues,
        "pictures in work": need.work,
        "networks": need.networks,
    }
    return f"{_gb(need.total)} ({', '.join(f'{name} {_gb(n)}' for name, n in parts.items())})"


def _gb(size: int) -> str:
    return f"{size / GB:.{0 if size > 10 * GB else 1}f} GB"
