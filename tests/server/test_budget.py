"""What `sakuga serve` says of memory."""

import re

from sakuga import Config
from sakuga_server.runtime.budget import GB, lines

LOADED = {"realesrgan_x4plus_anime", "isnet_anime"}


def test_whoever_starts_a_server_reads_what_its_limits_allow_and_what_would_fit() -> None:
    config = Config()
    allowed, suggested = lines(config, LOADED, 16 * GB)
    assert re.fullmatch(
        r"Memory: config.yaml allows up to \d+ GB \(waiting files 384 GB, pictures in work \d+ GB, "
        r"networks 5.7 GB\); there are 16 GB",
        allowed,
    )
    for path, value in re.findall(r"(\w+\.\w+): (\d+)", suggested):
        block, _, name = path.partition(".")
        setattr(getattr(config, block), name, int(value))
    (line,) = lines(config, LOADED, 16 * GB)
    assert line.endswith("there are 16 GB")


def test_a_machine_for_which_no_limits_fit_is_told_how_much_the_smallest_take() -> None:
    (_, last) = lines(Config(), LOADED, GB)
    assert re.fullmatch(r"Even the smallest limits allow up to [12]\.\d GB", last)
