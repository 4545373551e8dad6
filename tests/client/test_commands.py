"""What the commands say before any server is asked."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from made_files import made
from sakuga.cli import main
from sakuga.cli.errors import concerns_all, printable, sentence
from sakuga_core.actions import ACTIONS
from sakuga_core.errors import (
    BadImage,
    BadOption,
    ConfigError,
    DeadlineExceeded,
    ModelNotInstalled,
    Overloaded,
    ServerUnavailable,
    TooLarge,
)
from sakuga_core.formats import FORMATS


def called(*arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(main, ["--url", "127.0.0.1:9", *arguments], input=text)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("action", ACTIONS.values(), ids=lambda action: action.name.value)
def test_the_help_has_every_option_its_default_and_groups(action: object) -> None:
    row = ACTIONS[action.name]  # type: ignore[attr-defined]
    text = called(row.command, "--help").output
    words = " ".join(text.split())
    for name, field in row.options.model_fields.items():
        assert f"--{name.replace('_', '-')}" in text or name == "regions"
        assert field.description
    assert f"[default: {row.default_model}]" in words
    assert "[default: all]" in words
    assert "[default: out]" in words
    assert text.index("Files:") < text.index("Format of the result:") < text.index("Options:")
    assert ("Size of the result:" in text) == (row.kind == "upscale")
    assert "PICTURES..." not in text.partition("\n")[2]


@pytest.mark.parametrize("flags", [["--format", "jpg", "-o", "r.jpg"], ["--format", "TIFF"]])
def test_good_flags_reach_the_server(here: Path, flags: list[str]) -> None:
    made(here, "a.png")
    done = called("upscale", "a.png", *flags)
    assert done.exit_code == 1
    assert "no server answers" in done.output


@pytest.mark.parametrize(
    ("flags", "answer"),
    [
        (["--format", "wepb"], "did you mean 'webp'?"),
        (["--format", "nonsense"], "'nonsense' isn't one of auto, png, jpeg"),
        (["--animation", "firts"], "did you mean 'first'?"),
        (["--format", "raw"], "option 'format' is 'raw', which is no file; allowed here: png"),
        (["--skip-existing", "--overwrite"], "contradict each other"),
        (["-o", "-", "--json"], "can't both go to standard output"),
        (["-o", "/dev/stdout", "--json"], "can't both go to standard output"),
        (["-o", "r.png", "--format", "jpeg"], "-o r.png means PNG, --format jpeg another format"),
        (["-o", "r.xyz"], "-o r.xyz ends in .xyz; allowed: .png"),
        (["-o", "/dev/null"], "-o /dev/null is a device or a pipe"),
        (["--scale", "2", "--width", "30"], "options 'scale' and 'width' are set"),
        (["--max-side", "50", "--megapixels", "1"], "options 'max_side' and 'megapixels' are set"),
        (["--scale", "0.5"], "use an image editor"),
        (["--scale", "0"], "option 'scale' is 0.0; allowed: a number from 1 to 16"),
        (["--quality", "101"], "option 'quality' is 101; allowed: a whole number from 1 to 100"),
        (["b.png", "-o", "r.png"], "-o r.png is one file, for several pictures"),
        (["b.png", "-o", "o/{action}.png"], "calls the results of a.png and b.png both"),
        (["-", "-"], "standard input, -, is named twice"),
    ],
)
def test_flags_are_checked_before_any_work(here: Path, flags: list[str], answer: str) -> None:
    made(here, "a.png", "b.png")
    done = called("upscale", "a.png", *flags)
    assert done.exit_code == 2
    assert answer in done.output
    assert "Traceback" not in done.output


def test_a_region_without_a_size_is_named_once(here: Path) -> None:
    made(here, "a.png")
    done = called("fix-artifacts", "a.png", "--region", "0,0,9,0")
    assert done.exit_code == 2
    assert done.output.count("'0,0,9,0' has no size; allowed: a WIDTH and a HEIGHT of at") == 1


def test_the_help_says_what_flags_take(here: Path) -> None:
    words = " ".join(called("rembg", "--help").output.split())
    assert "raw" not in words
    assert "composite the foreground over a colour: #rgb, #rrggbb, #rrggbbaa" in words


def test_an_address_that_can_not_be_reached_is_no_wrong_flag(here: Path) -> None:
    done = called("upscale", "memory://nothing/a.png")
    assert done.exit_code == 1
    assert "no such file or folder" in done.output


def test_an_effect_of_quality_is_named_for_every_format_that_has_one(here: Path) -> None:
    made(here, "a.png")
    lossy = [row.title for row in FORMATS if row.lossy]
    done = called("upscale", "a.png", "--quality", "50")
    assert "--quality has no effect on PNG; it has on JPEG, WebP, AVIF, " in done.stderr
    assert all(title in done.stderr for title in lossy)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("RealESRGAN_x4plus_anime_6B", "realesrgan-x4plus-anime"),
        ("realesr_animevideov3", "realesr-animevideov3"),
        ("RealESRGAN_x4plus", "realesrgan-x4plus"),
        ("realesrgan-anime-6b", "realesrgan-anime-6b"),
        ("my-own", "my-own"),
        ("4x_My_Own", "4x_My_Own"),
    ],
)
def test_networks_are_also_known_by_their_weights_files(given: str, sent: str) -> None:
    from sakuga.cli.flags import ModelType

    assert ModelType().convert(given, None, None) == sent


def test_nothing_found_says_what_was_left_out(here: Path) -> None:
    made(here, "p/notes.txt", "p/.hidden.png")
    done = called("upscale", "p")
    assert done.exit_code == 1
    assert "Left out, no picture: 1 (p/notes.txt)" in done.output
    assert done.output.endswith("Error: no picture found\n")


def test_a_missing_input_is_an_error() -> None:
    done = called("upscale", "nothing.png")
    assert done.exit_code == 2
    assert done.output == "Error: no such file or folder: nothing.png\n"


def test_a_terminal_gets_no_picture(here: Path) -> None:
    made(here, "a.png")
    ours, theirs = os.openpty()
    program = "from sakuga.cli import main; main()"
    command = [sys.executable, "-c", program, "upscale", "a.png", "-o", "-"]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    assert "standard output is a terminal; redirect it" in done.stderr


def test_names_can_not_move_the_cursor_or_fail_to_be_printed() -> None:
    assert printable("a\x1b[2J\n\udcff漢.png") == "a\\x1b[2J\\x0a\\xdcff漢.png"


def test_errors_of_the_system_are_sentences() -> None:
    error = OSError(errno.EACCES, "Permission denied", "p/a.png")
    assert sentence(error) == "p/a.png: Permission denied"
    assert sentence(error, "p/a.png") == "Permission denied"
    assert sentence(OSError("odd")) == "odd"


def test_other_errors_are_internal_ones_and_a_line() -> None:
    assert sentence(KeyError("a")) == "internal error: KeyError: 'a'"
    assert sentence(AssertionError()) == "internal error: AssertionError"
    assert sentence(ValueError("a\n  b")) == "internal error: ValueError: a b"


def test_near_names_are_suggested() -> None:
    error = BadOption("option 'model' is 'RealESRGAN_x4plus'; allowed: realesrgan-x4plus, u2net")
    assert sentence(error).endswith("; did you mean 'realesrgan-x4plus'?")
    assert sentence(BadOption("option 'scale' is 99; allowed: a number")) == (
        "option 'scale' is 99; allowed: a number"
    )
    far = BadOption("option 'model' is 'zzz'; allowed: realesrgan-x4plus, u2net")
    assert "did you mean" not in sentence(far)


@pytest.mark.parametrize(
    ("error", "all_of_them"),
    [
        (OSError(errno.ENOSPC, "full"), True),
        (OSError(errno.EROFS, "read-only"), True),
        (OSError(errno.EACCES, "denied"), False),
        (ServerUnavailable("gone"), True),
        (ConfigError("wrong"), True),
        (ModelNotInstalled("absent"), True),
        (BadOption("option 'model' is 'x'; allowed: y"), True),
        (BadOption("option 'width' is 9; the picture has 10x10 pixels"), False),
        (BadImage("damaged"), False),
        (TooLarge("large"), False),
        (Overloaded("full"), False),
        (DeadlineExceeded("slow"), False),
    ],
)
def test_what_concerns_every_picture_is_known(error: OSError, all_of_them: bool) -> None:
    assert concerns_all(error) == all_of_them
