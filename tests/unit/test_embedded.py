import logging

import pytest

from sakuga import ConfigError
from sakuga_server.embedded import check_gpus


def test_without_a_gpu_one_line_says_that_the_cpu_works(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with caplog.at_level(logging.WARNING):
        check_gpus([0, 1], 0)
    (record,) = caplog.records
    assert record.getMessage() == "no GPU on this machine: realesrgan.gpu_id [0, 1] means the CPU"


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    check_gpus([0, 1], 2)
    with pytest.raises(ConfigError, match="gpu_id is 2; allowed here: 0 to 1"):
        check_gpus([0, 2], 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    check_gpus([0, 2], 2)  # the environment goes before the file
