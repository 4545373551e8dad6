"""The examples, and those of docs/guides/python.md, as a reader would run them."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from networks_for_tests import PROJECT
from pictures import encoded, off, pixels_of, sample
from sakuga import SyncImages, connect_sync

PAGE = (PROJECT / "docs/guides/python.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
RAY_DATA = PROJECT / "examples" / "ray_data.py"
OPTIONS = {"scale": 2, "model": "realesr-animevideov3"}


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_of_the_page_on_python_run(example: str, tmp_path: Path, url: str) -> None:
    (tmp_path / "samples").mkdir()
    for name in ("heroine.png", "heroine_q25.jpg", "mascot.png", "sunset.png", "lineart.png"):
        size = (280, 240) if "heroine" in name else (90, 80)  # for the time it takes
        part = Image.open(PROJECT / "samples" / name).crop((0, 0, *size))
        part.save(tmp_path / "samples" / name)
    before = set(tmp_path.rglob("*"))
    environment = {**os.environ, "SAKUGA_URL": url}
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for file in set(tmp_path.rglob("*.png")) - before:
        Image.open(file).load()
    if "on_progress" in example:
        assert re.fullmatch(r"(\d+ of (\d+) tiles\n)*\2 of \2 tiles\n", done.stdout)
    assert done.stdout or "out/" in example


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a Ray cluster of two workers, in processes of this machine."""
    pytest.importorskip("ray", reason="Ray isn't installed: pip install 'ray[data]' 'pyarrow<26'")
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **memory})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, **memory)
        yield cluster.address
    finally:
        cluster.shutdown()


def ray_data(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(RAY_DATA), *map(str, arguments)]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_folder_goes_through_a_ray_cluster_and_is_resumed(
    tmp_path: Path, cluster: str, url: str
) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    parts = {f"{'sub/' * (i % 2)}{i}.png": (20 * i, 10 * i) for i in range(10)}
    for name, (left, top) in parts.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        data = encoded(sample("sunset", (left, top, left + 40, top + 30)))
        (source / name).write_bytes(data)
    (source / "0.jpg").write_bytes(encoded(sample("sunset", (0, 0, 40, 30)), "JPEG"))
    (source / "broken.png").write_text("no picture")
    (source / "._0.png").write_text("left by a Mac")
    (source / "notes.txt").write_text("no picture either")
    words = [source, output, "--url", url, "--address", cluster, "--in-flight", 2]
    words += [word for pair in OPTIONS.items() for word in ("--option", "{}={}".format(*pair))]

    first = ray_data(*words)
    assert first.stdout.endswith("11 done, 0 were there, 1 failed: see failures.jsonl\n"), (
        first.stderr
    )
    assert first.returncode == 1
    names = {str(file.relative_to(output)) for file in output.rglob("*") if file.is_file()}
    assert names == {*parts, "0.jpg.png", "failures.jsonl"}
    (failure,) = map(json.loads, (output / "failures.jsonl").read_text().splitlines())
    assert failure["name"] == "broken.png"
    assert failure["error"].startswith("BadImage: ")
    with connect_sync(url=url) as images:
        assert same(images, source, output, [*parts])

    (source / "broken.png").write_bytes(encoded(sample("sunset", (0, 0, 20, 20))))
    (output / "4.png").unlink()  # as if it had been interrupted before
    kept = (output / "2.png").stat().st_mtime_ns
    second = ray_data(*words)
    assert second.stdout.endswith("2 done, 10 were there, 0 failed: see failures.jsonl\n"), (
        second.stderr
    )
    assert second.returncode == 0
    assert (output / "2.png").stat().st_mtime_ns == kept
    assert (output / "failures.jsonl").read_text() == ""


def same(images: SyncImages, source: Path, output: Path, names: list[str]) -> bool:
    """Whether results are those of calls without Ray."""
    return all(
        off(
            pixels_of((output / name).read_bytes()),
            pixels_of(images.process(source / name, "upscale", OPTIONS)),
        )
        == 0
        for name in names
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--option", "sclae=2"], "'sclae' is unknown; allowed: model"),
        (["--option", "scale=99"], "option 'scale' is 99; allowed: a number from 1"),
        (["--action", "polish"], "invalid choice"),
    ],
)
def test_a_wrong_option_is_an_error_before_any_work(
    tmp_path: Path, words: list[str], message: str
) -> None:
    pytest.importorskip("ray", reason="Ray isn't installed: pip install 'ray[data]' 'pyarrow<26'")
    done = ray_data(tmp_path, tmp_path / "out", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_without_pictures_and_one_that_is_its_own_output_are_said(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray isn't installed: pip install 'ray[data]' 'pyarrow<26'")
    nothing = ray_data(tmp_path, tmp_path / "out")
    assert (nothing.returncode, nothing.stdout) == (1, f"no picture found in {tmp_path}\n")
    itself = ray_data(tmp_path, f"{tmp_path}/../{tmp_path.name}")
    assert itself.returncode == 2
    assert "source and output are the same" in itself.stderr
