"""Memory is bounded by a few frames, whatever their number."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from sakuga_core.config.server import Limits
from sakuga_server.imaging import animation
from sakuga_server.imaging.animation import Timing
from sakuga_server.imaging.picture import Picture

format, side = sys.argv[1], int(sys.argv[2])
y, x = np.mgrid[0:side, 0:side] * 255 // side
ground = np.stack((x, y, (x + y) // 2), axis=-1).astype(np.uint8)


def highest():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def there_and_back(count):
    writer = animation.writer(format, side, side, Timing((40,) * count), alpha=False)
    for number in range(count):
        frame = ground.copy()
        frame[20:120, number % 100 : number % 100 + 100] = ground[-100:, -100:]
        writer.add(Picture(frame))
    data = writer.finish()
    moving = animation.read(data, Limits())
    assert sum(1 for frame in moving.frames()) == count
    return len(data)


there_and_back(20)
before = highest()
size = there_and_back(200)
print(highest() - before, size)
"""


@pytest.mark.parametrize(
    ("format", "side"), [("gif", 512), ("png", 512), ("webp", 512), ("avif", 256)]
)
def test_200_frames_take_little_more_than_20(format: str, side: int) -> None:
    command = [sys.executable, "-c", SCRIPT, format, str(side)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    more, size = map(int, done.stdout.split())
    assert more < 40 * side * side * 3 + 2 * size, (
        f"{more >> 20} MiB more, of a file of {size >> 20} MiB"
    )
