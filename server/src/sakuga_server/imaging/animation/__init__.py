"""Animated picture files, read and written: GIF, APNG, WebP and AVIF.

moving = read(data, limits)
file = writer("webp", moving.width, moving.height, moving.timing, alpha=moving.alpha)
for frame in moving.frames():
    file.add(frame)
data = file.finish()
"""

from sakuga_server.imaging.animation.base import Writer
from sakuga_server.imaging.animation.read import damage, read
from sakuga_server.imaging.animation.record import Animation, Timing
from sakuga_server.imaging.animation.write import writer

__all__ = ["Animation", "Timing", "Writer", "damage", "read", "writer"]
