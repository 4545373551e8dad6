"""What the driver tells of this machine's GPUs. It alone is asked: no CUDA has to be installed."""

import ctypes
from functools import cache
from typing import Any

# Of `cuDeviceGetAttribute`.
MAJOR, MINOR = 75, 76


def count() -> int:
    """How many GPUs there are; none where there is no driver."""
    driver, number = _driver(), ctypes.c_int(0)
    failed = driver is None or driver.cuDeviceGetCount(ctypes.byref(number))
    return 0 if failed else number.value


def compute_capability(gpu: int) -> str | None:
    """Of a GPU, by its number: `9.0`; None if there is no such GPU."""
    driver, device = _driver(), ctypes.c_int(0)
    if driver is None or driver.cuDeviceGet(ctypes.byref(device), gpu):
        return None
    version = [ctypes.c_int(0), ctypes.c_int(0)]
    for attribute, value in zip((MAJOR, MINOR), version, strict=True):
        driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
    return ".".join(str(value.value) for value in version)


@cache
def _driver() -> Any:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    return None if driver.cuInit(0) else driver
