"""Folders, archives and pipes on the command line, against a real server."""

import io
import json
import os
import signal
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec
import pytest
from click.testing import CliRunner
from PIL import Image

from pictures import encoded, gradient
from sakuga.cli import main
from sakuga_server.runtime.embedded import free_port
from serving_for_tests import SAKUGA
from slow import full

VIDEO = ["--model", "realesr-animevideov3"]
COUNT = 60


def picture(number: int, format: str = "PNG") -> bytes:
    """One that its size tells from the others."""
    return encoded(gradient(8 + number, 12), format)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With three pictures in a folder `p`."""
    (tmp_path / "p").mkdir()
    for number in range(3):
        (tmp_path / "p" / f"{number}.png").write_bytes(picture(number))
    return tmp_path


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """With COUNT pictures in a folder `p`."""
    for number in range(COUNT):
        place = tmp_path / "p" / str(number % 4)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes(picture(number))
    return tmp_path


def command(*arguments: object) -> list[str]:
    return [str(SAKUGA), "upscale", *map(str, arguments), *VIDEO]


def environment(url: str) -> dict[str, str]:
    return {**os.environ, "SAKUGA_URL": url}


def sakuga(
    folder: Path, *arguments: object, url: str, **rest: Any
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        command(*arguments), cwd=folder, env=environment(url), capture_output=True, **rest
    )


def started(folder: Path, *arguments: object, url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(*arguments),
        cwd=folder,
        env=environment(url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def results(folder: Path) -> set[str]:
    return {name for name in files(folder) if name.endswith(".png")}


def assert_whole(folder: Path, names: set[str]) -> None:
    """Each result is a picture of the size that its source has four times."""
    for name in names:
        number = int(Path(name).stem)
        with Image.open(folder / name) as image:
            image.load()
            assert image.size == (4 * 12, 4 * (8 + number))


def test_a_folder_that_is_interrupted_goes_on_where_it_was(many: Path, url: str) -> None:
    out, flags = many / "o", ["p", "-o", "o", "--skip-existing"]
    for end in (signal.SIGINT, signal.SIGKILL, signal.SIGINT):
        before = len(results(out))
        process = started(many, *flags, url=url)
        assert process.stdout
        for _ in range(5):  # each line is a picture that is done
            assert process.stdout.readline()
        process.send_signal(end)
        _, errors = process.communicate()
        done = results(out)
        assert before + 5 <= len(done) < COUNT
        assert_whole(out, done)
        if end == signal.SIGINT:
            assert process.returncode == 130
            assert f"Interrupted: {len(done) - before} of {COUNT - before} pictures" in errors
            assert "--skip-existing goes on" in errors
            assert files(out) == done
    finished = sakuga(many, *flags, url=url)
    assert finished.returncode == 0, finished.stderr
    assert files(out) == files(many / "p")
    assert_whole(out, files(out))


def test_what_a_killed_command_began_is_removed_by_the_next(folder: Path, url: str) -> None:
    (folder / "o").mkdir()
    (folder / "o" / ".sakuga-0123456789ab.tmp").write_bytes(b"half")
    assert sakuga(folder, "p", "-o", "o", url=url).returncode == 0
    assert files(folder / "o") == {"0.png", "1.png", "2.png"}


def test_a_closed_pipe_is_no_failure(many: Path, url: str) -> None:
    process = started(many, "p", "-o", "o", url=url)
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait() == 0, errors
    assert errors == ""
    assert files(many / "o") == files(many / "p")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-"],
        full(["-", "-o", "-"]),
        ["/dev/stdin", "-o", "/dev/stdout"],
        full(["p/0.png", "-o", "-"]),
    ],
)
def test_standard_input_and_output_carry_the_picture_and_nothing_else(
    folder: Path, url: str, arguments: list[str]
) -> None:
    done = sakuga(folder, *arguments, url=url, input=picture(0))
    assert done.returncode == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert image.size == (48, 32)
    assert done.stdout.endswith(b"IEND\xaeB`\x82")
    assert done.stderr == b""


def test_standard_input_goes_into_a_file_and_not_with_json(folder: Path, url: str) -> None:
    assert sakuga(folder, "-", "-o", "r.webp", url=url, input=picture(1)).returncode == 0
    assert Image.open(folder / "r.webp").size == (48, 36)
    wrong = sakuga(folder, "-", "--json", url=url, input=picture(1))
    assert wrong.returncode == 2
    assert wrong.stdout == b""


def test_a_named_pipe_is_read(folder: Path, url: str) -> None:
    os.mkfifo(folder / "page.jpg")
    process = started(folder, "page.jpg", "-o", "o", url=url)
    (folder / "page.jpg").write_bytes(picture(2, "JPEG"))
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert Image.open(folder / "o" / "page.png").size == (48, 40)


def test_json_has_an_object_for_each_picture(folder: Path, url: str) -> None:
    (folder / "p" / "bad.png").write_bytes(b"no picture")
    (folder / "p" / "bad.cbz").write_bytes(b"no archive")
    done = sakuga(folder, "p", "-o", "o", "--json", url=url)
    assert done.returncode == 1
    found = {entry["source"]: entry for entry in map(json.loads, done.stdout.splitlines())}
    assert found.keys() == {
        f"p/{name}" for name in ("0.png", "1.png", "2.png", "bad.png", "bad.cbz")
    }
    assert found["p/1.png"]["target"] == "o/1.png"
    assert found["p/1.png"]["report"]["output"]["height"] == 36
    assert found["p/bad.png"]["error"]["type"] == "BadImage"
    assert "format is unknown" in found["p/bad.png"]["error"]["message"]
    assert found["p/bad.cbz"]["error"]["type"] == "BadInput"


def test_quiet_prints_errors_alone(folder: Path, url: str) -> None:
    (folder / "p" / "notes.txt").write_text("no picture")
    done = sakuga(folder, "p", "-o", "o", "-q", url=url)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (folder / "p" / "bad.png").write_bytes(b"no picture")
    again = sakuga(folder, "p", "-o", "o", "-q", "--skip-existing", url=url)
    assert again.returncode == 1
    assert again.stderr.startswith(b"Error: p/bad.png: the image's format is unknown")


def test_what_is_left_out_is_counted_and_named(folder: Path, url: str) -> None:
    for name in ("notes.txt", "._a.png", "Thumbs.db"):
        (folder / "p" / name).write_text("no picture")
    (folder / "p" / "loop").symlink_to(".")
    done = sakuga(folder, "p", "-o", "o", url=url)
    assert done.returncode == 0
    lines = done.stderr.decode().splitlines()
    assert "Left out, no picture: 1 (p/notes.txt)" in lines
    assert any(line.startswith("Left out, hidden or of the system: 2 (p/") for line in lines)
    assert "Left out, found before: 1 (p/loop)" in lines


def test_one_picture_fails_with_the_sentence_itself(folder: Path, url: str) -> None:
    (folder / "bad.png").write_bytes(b"no picture")
    done = sakuga(folder, "bad.png", url=url)
    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: bad.png: the image's format is unknown")
    assert done.stderr.count(b"\n") == 1


def test_what_concerns_every_picture_comes_once(many: Path, url: str) -> None:
    nobody = sakuga(many, "p", url=f"127.0.0.1:{free_port()}")
    assert nobody.returncode == 1
    assert nobody.stderr.count(b"no server answers") == 1
    assert b"of 60" not in nobody.stderr
    arguments = [str(SAKUGA), "upscale", "p", "--model", "nothing"]
    wrong = subprocess.run(arguments, cwd=many, env=environment(url), capture_output=True)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith(b"Error: option 'model' is 'nothing'; allowed: ")
    assert wrong.stderr.count(b"\n") == 1
    assert not (many / "out").exists()


def test_near_names_are_suggested_or_taken(folder: Path, url: str) -> None:
    def answer(*flags: str) -> str:
        arguments = [str(SAKUGA), "upscale", "p/0.png", *flags]
        done = subprocess.run(
            arguments, cwd=folder, env=environment(url), capture_output=True, text=True
        )
        return done.stderr

    assert "did you mean 'realesr-animevideov3'?" in answer("--model", "realesr-animevideo")
    assert "did you mean 'webp'?" in answer("--format", "wepb")
    assert answer("--model", "RealESR_AnimeVideov3", "--format", "JPG", "-o", "a.jpg") == ""
    assert answer("--model", "realesr-animevideov3.pth") != ""


def test_quality_without_effect_is_said_once(folder: Path, url: str) -> None:
    done = sakuga(folder, "p", "-o", "o", "--quality", 80, url=url)
    assert done.returncode == 0
    assert done.stderr.decode().splitlines() == [
        "--quality has no effect on PNG; it has on JPEG, WebP, AVIF, HEIC and JPEG XL"
    ]


def test_existing_results_are_an_error_before_work(folder: Path, url: str) -> None:
    assert sakuga(folder, "p", "-o", "o", url=url).returncode == 0
    times = {name: (folder / "o" / name).stat().st_mtime_ns for name in files(folder / "o")}
    again = sakuga(folder, "p", "-o", "o", url=url)
    assert again.returncode == 2
    assert b"results already exist: o/0.png, o/1.png, o/2.png;" in again.stderr
    skipped = sakuga(folder, "p", "-o", "o", "--skip-existing", url=url)
    assert skipped.returncode == 0
    assert skipped.stderr == b"There already: 3 (o/0.png, o/1.png, o/2.png)\n"
    assert times == {name: (folder / "o" / name).stat().st_mtime_ns for name in times}
    replaced = sakuga(folder, "p", "-o", "o", "--overwrite", url=url)
    assert replaced.returncode == 0
    assert all((folder / "o" / name).stat().st_mtime_ns > time for name, time in times.items())
    both = sakuga(folder, "p", "--overwrite", "--skip-existing", url=url)
    assert both.returncode == 2


def test_no_original_is_ever_replaced(folder: Path, url: str) -> None:
    before = {name: (folder / "p" / name).read_bytes() for name in files(folder / "p")}
    for output in ("p", "."):
        assert sakuga(folder, "p", "-o", output, url=url).returncode == 0
    (folder / "link.png").hardlink_to(folder / "p" / "0.png")
    assert sakuga(folder, "p/0.png", "-o", "link.png", "--overwrite", url=url).returncode == 2
    assert {name: (folder / "p" / name).read_bytes() for name in before} == before
    assert files(folder) >= {"p/0.png.png", "0.png", "link.png"}


def test_an_archive_in_gives_an_archive_out(folder: Path, url: str) -> None:
    with zipfile.ZipFile(folder / "p" / "ch.cbz", "w") as book:
        for number in (2, 0, 1):
            book.writestr(f"a/{number}.jpg", picture(number, "JPEG"))
        book.writestr("ComicInfo.xml", "<ComicInfo/>")
    done = sakuga(folder, "p", "-o", "o", url=url)
    assert done.returncode == 0, done.stderr
    assert b"o/ch.cbz/a/2.png  12x10 to 48x40" in done.stdout
    with zipfile.ZipFile(folder / "o" / "ch.cbz") as book:
        assert book.namelist() == ["a/2.png", "a/0.png", "a/1.png", "ComicInfo.xml"]
        for number in range(3):
            with Image.open(io.BytesIO(book.read(f"a/{number}.png"))) as image:
                image.load()
                assert image.size == (48, 4 * (8 + number))


def test_an_archive_with_a_bad_page_is_not_written_and_the_rest_is(folder: Path, url: str) -> None:
    with zipfile.ZipFile(folder / "p" / "ch.cbz", "w") as book:
        book.writestr("1.png", picture(1))
        book.writestr("2.png", b"no picture")
    done = sakuga(folder, "p", "-o", "o", url=url)
    assert done.returncode == 1
    assert b"1 of 5 failed:\n  p/ch.cbz/2.png: the image's format is unknown" in done.stderr
    assert done.stderr.count(b"so o/ch.cbz isn't written") == 1
    assert b"1.png" not in done.stderr
    assert files(folder / "o") == {"0.png", "1.png", "2.png"}


def test_an_interrupted_archive_leaves_nothing(tmp_path: Path, url: str) -> None:
    with zipfile.ZipFile(tmp_path / "ch.cbz", "w") as book:
        for number in range(COUNT):
            book.writestr(f"{number}.png", picture(number))
    process = started(tmp_path, "ch.cbz", "-o", "o", url=url)
    assert process.stdout
    for _ in range(5):
        assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert os.listdir(tmp_path / "o") == []


def test_patterns_know_the_scale_and_late_ones_the_size(folder: Path, url: str) -> None:
    pattern = "o/{stem}-{scale}x.{ext}"
    for flags in (["--scale", 2], ["--scale", 2, "--skip-existing"]):
        done = sakuga(folder, "p", "-o", pattern, *flags, url=url)
        assert done.returncode == 0, done.stderr
    assert files(folder / "o") == {"0-2x.png", "1-2x.png", "2-2x.png"}
    assert sakuga(folder, "p", "-o", "q/{parent}-{width}x{height}.webp", url=url).returncode == 0
    assert files(folder / "q") == {"p-48x32.webp", "p-48x36.webp", "p-48x40.webp"}


def test_the_format_auto_keeps_the_kind_of_each_picture(folder: Path, url: str) -> None:
    (folder / "p" / "x.jpe").write_bytes(picture(3, "JPEG"))
    (folder / "p" / "y").write_bytes(picture(4, "WEBP"))
    (folder / "config.yaml").write_text("realesrgan: {format: auto}")
    done = sakuga(folder, "p", "-o", "o", url=url)
    assert done.returncode == 0, done.stderr
    assert files(folder / "o") == {"0.png", "1.png", "2.png", "x.jpg", "y.webp"}
    for name in files(folder / "o"):
        with Image.open(folder / "o" / name) as image:
            assert image.format == {".jpg": "JPEG", ".png": "PNG"}.get(Path(name).suffix, "WEBP")


@pytest.fixture
def tiny_disk(folder: Path) -> Iterator[Path]:
    """A folder `o` on a file system of 64 KB."""
    disk = folder / "o"
    disk.mkdir()
    made = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]
    if subprocess.run(made, capture_output=True).returncode:
        pytest.skip("this user may mount nothing")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_stops_the_command_and_leaves_old_results_whole(
    folder: Path, tiny_disk: Path, url: str
) -> None:
    assert sakuga(folder, "p", "-o", "o", url=url).returncode == 0
    before = {name: (tiny_disk / name).read_bytes() for name in files(tiny_disk)}
    with (tiny_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(512))
    full = sakuga(folder, "p", "-o", "o", "--overwrite", url=url)
    assert full.returncode == 1
    assert full.stderr.count(b"No space left on device") == 1
    assert {name: (tiny_disk / name).read_bytes() for name in before} == before
    assert files(tiny_disk) == {*before, "filler"}


def test_addresses_are_inputs_and_outputs(url: str) -> None:
    system = fsspec.filesystem("memory")
    system.pipe_file("/in/sub/2.png", picture(2))
    arguments = ["upscale", "memory://in", "-o", "memory://result", *VIDEO]
    done = CliRunner().invoke(main, ["--url", url, *arguments])
    assert done.exit_code == 0, done.output
    with Image.open(io.BytesIO(system.cat_file("/result/sub/2.png"))) as image:
        assert image.size == (48, 40)
