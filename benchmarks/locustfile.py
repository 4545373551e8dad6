"""Load on a gateway from many users, by Locust.

`locust -f benchmarks/locustfile.py --host http://127.0.0.1:8080 --users 64 --spawn-rate 16
--headless --run-time 1m`; the key of a gateway that needs one is taken from SAKUGA_KEY.
"""

import os
from pathlib import Path

from locust import HttpUser, constant, task

PICTURE = (Path(__file__).parents[1] / "samples" / "heroine.png").read_bytes()


class Artist(HttpUser):  # type: ignore[misc]
    """Sends the next picture when the last one is back."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Brings the key."""
        if key := os.environ.get("SAKUGA_KEY"):
            self.client.headers["X-Api-Key"] = key

    @task(3)  # type: ignore[untyped-decorator]
    def upscale(self) -> None:
        """A fast network."""
        query = "model=realesr-animevideov3&scale=2"
        self.client.post(f"/v1/upscale?{query}", data=PICTURE, name="/v1/upscale")

    @task  # type: ignore[untyped-decorator]
    def rembg(self) -> None:
        """The background, without matting."""
        query = "model=u2net&alpha_matting=false"
        self.client.post(f"/v1/rembg?{query}", data=PICTURE, name="/v1/rembg")
