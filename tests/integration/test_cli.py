"""The commands, as a person calls them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drawn import jpeg
from networks_for_tests import PROJECT, repository_of
from pictures import encoded, gradient, sample
from sakuga import Config
from sakuga_server.runtime.embedded import free_port

SAKUGA = Path(sys.executable).with_name("sakuga")
SMALL = dict.fromkeys(("upscale_workers", "matting_workers", "fix_artifacts_workers"), 1)
VIDEO = ["--model", "realesr-animevideov3"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "a.png").write_bytes(encoded(gradient(10, 12)))
    (tmp_path / "in" / "sub" / "b.jpg").write_bytes(encoded(gradient(11, 13), "JPEG"))
    return tmp_path


def sakuga(folder: Path, *arguments: object, url: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(SAKUGA), *map(str, arguments)]
    environment = {**os.environ, **({"SAKUGA_URL": url} if url else {})}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_files_and_folders_are_upscaled(folder: Path, url: str) -> None:
    done = sakuga(folder, "upscale", "in", "-o", "out", "--scale", 2, *VIDEO, url=url)
    assert done.returncode == 0, done.stderr
    assert Image.open(folder / "out" / "a.png").size == (24, 20)
    assert Image.open(folder / "out" / "sub" / "b.png").size == (26, 22)
    assert "12x10 to 24x20" in done.stdout


def test_every_option_is_a_flag_and_reports_are_json(folder: Path, url: str) -> None:
    flags = ["--denoise", 0.5, "--tile-size", 64, "--reference-alpha", "--no-keep-metadata"]
    flags += ["--format", "webp", "--quality", 80, "--reference-resize"]
    done = sakuga(folder, "upscale", "in/a.png", *VIDEO, *flags, "--report", url=url)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["file"] == "out/a.webp"
    assert report["output"]["format"] == "webp"
    assert Image.open(folder / "out" / "a.webp").size == (48, 40)


def test_pictures_are_enhanced_and_every_option_is_a_flag(folder: Path, url: str) -> None:
    flags = ["--scale", 3, "--no-overlapping-tiles", "--overlap", "reference"]
    done = sakuga(folder, "enhance", "in", "-o", "out", *flags, "--report", url=url)
    assert done.returncode == 0, done.stderr
    assert Image.open(folder / "out" / "a.png").size == (36, 30)
    assert Image.open(folder / "out" / "sub" / "b.png").size == (39, 33)
    assert '"model": "aura-sr-v2"' in done.stdout


def test_backgrounds_are_removed_and_every_option_is_a_flag(folder: Path, url: str) -> None:
    (folder / "girl.png").write_bytes(encoded(sample("heroine")))
    flags = ["--model", "u2net", "--alpha-matting", "--alpha-matting-erode-size", 5]
    flags += ["--alpha-matting-foreground-threshold", 250, "--matting", "fast"]
    flags += ["--alpha-matting-background-threshold", 9, "--no-estimate-foreground"]
    flags += ["--preprocess", "rembg", "--no-post-process-mask", "--no-only-mask"]
    flags += ["--no-premultiplied", "--no-reference-thresholds", "--no-keep-metadata"]
    done = sakuga(folder, "rembg", "girl.png", "in", *flags, "-o", "cut", url=url)
    assert done.returncode == 0, done.stderr
    assert "360x480 to 360x480" in done.stdout
    assert Image.open(folder / "cut" / "girl.png").mode == "RGBA"
    assert Image.open(folder / "cut" / "sub" / "b.png").size == (13, 11)
    over = ["--background-color", "#ff0000", "-o", "red.jpg"]
    assert sakuga(folder, "rembg", "girl.png", *flags, *over, url=url).returncode == 0
    corner = Image.open(folder / "red.jpg").getpixel((2, 2))
    assert corner[0] > 250 > 5 > max(corner[1:])  # type: ignore[index, type-var]
    wrong = sakuga(folder, "rembg", "girl.png", "--background-color", "red", url=url)
    assert "option 'background_color' is 'red'; allowed: #rgb" in wrong.stderr


def test_damage_is_repaired_and_every_option_is_a_flag(folder: Path, url: str) -> None:
    (folder / "girl.jpg").write_bytes(jpeg(sample("heroine", (60, 100, 200, 240)), 25))
    mask = np.zeros((140, 140), np.uint8)
    mask[100:110, 20:40] = 255
    (folder / "mask.png").write_bytes(encoded(mask))
    flags = ["--scale", 3, "--denoise", 0.5, "--detector", "jpeg", "--region", "10,20,30,8"]
    flags += ["--region", "60,60,9,9", "--mask", "mask.png", "--inpaint", "opencv", "--restore"]
    flags += ["--no-jpeg-consistency", "--result", "upscaled"]
    done = sakuga(folder, "fix-artifacts", "girl.jpg", *VIDEO, *flags, "--report", url=url)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [region["kind"] for region in report["regions"]] == ["jpeg", "user", "user"]
    assert [d["what"] for d in report["done"]] == ["restored", *["inpainted"] * 3, "upscaled"]
    assert Image.open(folder / "out" / "girl.png").size == (420, 420)
    folders = sakuga(folder, "fix-artifacts", "in", "-o", "repaired", *VIDEO, url=url)
    assert folders.returncode == 0, folders.stderr
    assert Image.open(folder / "repaired" / "sub" / "b.png").size == (26, 22)
    wrong = sakuga(folder, "fix-artifacts", "girl.jpg", "--region", "1,2,3", url=url)
    assert "'1,2,3' isn't four whole numbers: X,Y,WIDTH,HEIGHT" in wrong.stderr
    outside = ["--region", "900,2,3,4", "--overwrite"]
    absent = sakuga(folder, "fix-artifacts", "girl.jpg", *outside, url=url)
    assert absent.returncode == 1
    assert "outside the picture" in absent.stderr


def test_what_is_wrong_is_printed_as_json_and_drawn(folder: Path, url: str) -> None:
    (folder / "girl.jpg").write_bytes(jpeg(sample("heroine", (60, 100, 200, 240)), 25))
    detected = sakuga(folder, "fix-artifacts", "girl.jpg", "--detect-only", url=url)
    assert detected.returncode == 0, detected.stderr
    answer = json.loads(detected.stdout)
    assert answer["file"] == "girl.jpg"
    assert answer["regions"][0]["quality"] == 25
    assert not (folder / "out").exists()
    shown = sakuga(folder, "fix-artifacts", "girl.jpg", "--show-regions", "-o", "r.png", url=url)
    assert shown.returncode == 0, shown.stderr
    assert Image.open(folder / "r.png").size == (140, 140)


def test_a_failed_file_is_named_and_the_others_are_done(folder: Path, url: str) -> None:
    (folder / "in" / "bad.png").write_bytes(b"no picture")
    done = sakuga(folder, "upscale", "in", "-o", "out", *VIDEO, url=url)
    assert done.returncode == 1
    assert re.search(r"1 of 3 failed:\n  in/bad.png: the image's format is unknown", done.stderr)
    assert (folder / "out" / "a.png").exists()
    assert not (folder / "out" / "bad.png").exists()


def test_without_a_server_the_error_says_how_to_start_one(folder: Path) -> None:
    done = sakuga(folder, "upscale", "in/a.png", url=f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "sakuga serve" in done.stderr
    assert "server.url to auto" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("configured", [False, True])
def test_pixels_without_a_file_are_refused(folder: Path, configured: bool) -> None:
    flags = [] if configured else ["--format", "raw"]
    (folder / "config.yaml").write_text("realesrgan: {format: raw}" if configured else "")
    done = sakuga(folder, "upscale", "in", *flags)
    assert done.returncode == 2
    assert "option 'format' is 'raw', which is no file; allowed here: png" in done.stderr
    assert not (folder / "out").exists()


def test_embedded_starts_a_server_for_the_command(folder: Path) -> None:
    config = ["--config", PROJECT / "config.yaml"]
    done = sakuga(folder, *config, "upscale", "in/a.png", "-o", "x.png", "--embedded", *VIDEO)
    assert done.returncode == 0, done.stderr
    assert Image.open(folder / "x.png").size == (48, 40)


def test_models_and_status(folder: Path, url: str) -> None:
    models = sakuga(folder, "models", url=url)
    assert re.search(r"realesr-animevideov3 +loaded", models.stdout)
    assert re.search(r"realesrgan-x4plus +not exported", models.stdout)
    status = sakuga(folder, "status", url=url)
    assert "ready" in status.stdout
    assert "upscale" in status.stdout


def test_models_are_chosen_by_licence_and_purpose(folder: Path, url: str) -> None:
    def listed(*options: str) -> dict[str, Any]:
        return dict(json.loads(sakuga(folder, "models", "--json", *options, url=url).stdout))

    assert {each["spdx"] for each in listed("--licence", "mit").values()} == {"MIT"}
    assert list(listed("--for", "2x-fast")) == ["waifu2x-upconv-anime"]
    assert set(listed("--licence", "BSD-3-Clause", "--for", "jpeg")) == {"realesr-animevideov3"}
    wrong = sakuga(folder, "models", "--licence", "GPL", url=url)
    assert wrong.returncode == 2
    assert "--licence is 'GPL'; allowed: permissive, Apache-2.0, BSD-3-Clause, MIT" in wrong.stderr
    assert "2x-faithful" in sakuga(folder, "models", "--for", "x", url=url).stderr
    missing = sakuga(folder, "models", "--for", "2x-fast", "--measure", url=url)
    assert "nothing was measured, as none of these is loaded" in missing.stderr


def test_a_bad_config_is_one_line(folder: Path) -> None:
    (folder / "config.yaml").write_text("server: {prot: 1}")
    done = sakuga(folder, "models")
    assert done.returncode == 1
    assert "'server.prot' is unknown" in done.stderr
    assert "Traceback" not in done.stderr


@contextmanager
def served_from(config: Config, folder: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """`sakuga serve`, once it serves, and its port."""
    port = free_port()
    repository_of(config.server.repository, folder / "repository")
    blocks = {
        "providers": {
            "image": {name: {"model": VIDEO[1]} for name in ("upscale", "fix_artifacts")}
        },
        "rembg": {"model": "isnet-general-use"},  # which isn't there to be loaded
        "server": {"url": f"127.0.0.1:{port}", "repository": "repository", **SMALL},
    }
    (folder / "config.yaml").write_text(json.dumps(blocks))  # JSON is YAML
    with subprocess.Popen(
        [SAKUGA, "serve"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        assert server.stdout is not None
        assert any(line.startswith(f"Serving at 127.0.0.1:{port}:") for line in server.stdout)
        yield port, server


def closes(port: int) -> bool:
    """Whether nobody listens there any more, within a minute."""
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return True
        time.sleep(0.1)
    return False


# In every run the server of a command is killed, with the same guard of Triton.
@pytest.mark.full
def test_a_server_killed_hard_takes_triton_along(config: Config, folder: Path) -> None:
    with served_from(config, folder) as (port, server):
        server.kill()
        assert closes(port)


def test_serve_runs_until_ctrl_c(config: Config, folder: Path) -> None:
    with served_from(config, folder) as (port, server):
        assert server.stdout is not None
        assert sakuga(folder, "upscale", "in/a.png", *VIDEO).returncode == 0
        taken = sakuga(folder, "serve")
        assert f"port {port} is in use" in taken.stderr
        server.send_signal(signal.SIGINT)
        rest = server.stdout.read()
        assert server.wait(40) == 0, rest
    assert "Stopped." in rest
