import logging
import socket

import pytest

from sakuga import ConfigError
from sakuga_server.runtime.machine import check_gpus, check_port, free_port, reserved_port


def test_without_a_gpu_one_line_says_that_the_cpu_works(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with caplog.at_level(logging.WARNING):
        check_gpus([0], 0)  # the default
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


@pytest.mark.parametrize("host", ["192.0.2.1", "no such name"])
def test_an_address_that_is_not_this_machines_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match=f"server.host is '{host}'.* allowed: an address of this"):
        check_port(host, free_port())


def test_a_port_that_is_taken_is_refused() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} is in use"):
            check_port("127.0.0.1", port)


def test_a_port_that_is_reserved_is_tritons_alone() -> None:
    with reserved_port("127.0.0.1", free_port()) as port:
        with pytest.raises(ConfigError, match=f"port {port} is in use"):
            check_port("127.0.0.1", port)
        with socket.socket() as triton:
            triton.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            triton.bind(("127.0.0.1", port))
            triton.listen()
