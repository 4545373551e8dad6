"""What a command shows of its progress: in a pipe, on a terminal, and when it is quiet."""

import io
import os
import pty
import re
import subprocess
import sys

import pytest

from sakuga.cli.progress import LINE_SECONDS, Display
from sakuga_core.progress import Progress


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A terminal of 80 columns."""

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        """What was written, without colours and movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def tiles(done: int, total: int = 40) -> Progress:
    return Progress("tiles", done, total)


def test_in_a_pipe_a_long_picture_has_a_line_every_few_seconds() -> None:
    pipe, clock = io.StringIO(), Clock()
    with Display(1, stream=pipe, clock=clock) as display:
        display.started("heroine.png")
        for done in range(41):
            display.progress("heroine.png", tiles(done))
            clock.now += 1
        display.done("heroine.png", 100)
    lines = pipe.getvalue().splitlines()
    assert lines[0] == "heroine.png: 5 of 40 tiles, about 0:35 left"
    assert [re.search(r"(\d+) of 40", line)[1] for line in lines] == [  # type: ignore[index]
        str(done) for done in range(5, 41, int(LINE_SECONDS))
    ]


def test_in_a_pipe_a_folder_has_pictures_speed_and_failures() -> None:
    pipe, clock = io.StringIO(), Clock()
    with Display(8, stream=pipe, clock=clock) as display:
        for i in range(4):
            display.started(f"{i}.png")
            clock.now += 2
            display.failed(f"{i}.png") if i == 1 else display.done(f"{i}.png", 2_000_000)
    assert pipe.getvalue().splitlines() == [
        "3 of 8 pictures, 667 kpx/s, 1 failed, about 0:10 left",
    ]


def test_in_a_pipe_an_animation_has_its_frames() -> None:
    pipe, clock = io.StringIO(), Clock()
    with Display(1, stream=pipe, clock=clock) as display:
        display.started("a.gif")
        clock.now += LINE_SECONDS
        display.progress("a.gif", Progress("frames", 12, 120))
    assert pipe.getvalue() == "a.gif: 12 of 120 frames\n"


def test_what_is_done_quickly_has_no_line() -> None:
    pipe, clock = io.StringIO(), Clock()
    with Display(100, stream=pipe, clock=clock) as display:
        for i in range(100):
            display.started(str(i))
            display.done(str(i), 10)
            clock.now += 0.04
    assert pipe.getvalue() == ""


def test_the_start_of_a_server_isnt_part_of_the_estimate() -> None:
    pipe, clock = io.StringIO(), Clock()
    with Display(1, stream=pipe, clock=clock) as display:
        display.started("a.png")
        clock.now += 100
        for done in range(1, 11):
            display.progress("a.png", tiles(done, 20))
            clock.now += 1
    assert pipe.getvalue().splitlines()[1] == "a.png: 6 of 20 tiles, about 0:14 left"


def test_a_total_that_grows_gives_no_negative_estimate() -> None:
    pipe, clock = io.StringIO(), Clock()
    with Display(1, stream=pipe, clock=clock) as display:
        display.started("a.png")
        for progress in (tiles(1, 2), tiles(2, 100), tiles(3, 100)):
            clock.now += LINE_SECONDS
            display.progress("a.png", progress)
    assert "-" not in pipe.getvalue()


@pytest.mark.parametrize("terminal_or_pipe", [Terminal, io.StringIO])
def test_quiet_shows_nothing_and_still_prints(
    terminal_or_pipe: type[io.StringIO], capsys: pytest.CaptureFixture[str]
) -> None:
    stream, clock = terminal_or_pipe(), Clock()
    with Display(1, quiet=True, stream=stream, clock=clock) as display:
        display.started("a.png")
        clock.now += 100
        display.progress("a.png", tiles(1))
        display.print("a line")
        display.done("a.png", 1)
    assert stream.getvalue() == ""
    assert capsys.readouterr().out == "a line\n"


def test_on_a_terminal_a_long_picture_has_its_tiles_and_what_remains(terminal: Terminal) -> None:
    clock = Clock()
    with Display(1, stream=terminal, clock=clock) as display:
        display.started("folder/heroine.png")
        for done in range(11):
            display.progress("folder/heroine.png", tiles(done))
            clock.now += 3
    assert "heroine.png" in terminal.text
    assert "10/40 tiles" in terminal.text
    assert "1:27 left" in terminal.text  # 30 tiles of 3 seconds, one of which has passed


def test_on_a_terminal_a_folder_has_pictures_and_what_takes_long_a_row(terminal: Terminal) -> None:
    clock = Clock()
    with Display(5, stream=terminal, clock=clock) as display:
        for i in range(2):
            display.started(f"{i}.png")
            clock.now += 1
            display.done(f"{i}.png", 3_000_000)
        display.started("quick.png")
        display.progress("quick.png", tiles(1, 2))
        display.started("anim.gif")
        clock.now += 4
        display.progress("anim.gif", Progress("frames", 30, 60))
    assert "2/5, 1 Mpx/s" in terminal.text
    assert "30/60 frames" in terminal.text
    assert "quick.png" not in terminal.text


def test_on_a_terminal_a_row_goes_with_its_picture(terminal: Terminal) -> None:
    clock = Clock()
    with Display(2, stream=terminal, clock=clock) as display:
        display.started("anim.gif")
        clock.now += 4
        display.progress("anim.gif", Progress("frames", 30, 60))
        display.failed("anim.gif")
        terminal.seek(0)
        terminal.truncate()
    assert "anim.gif" not in terminal.text
    assert "1/2, 1 failed" in terminal.text


def test_names_are_shown_as_they_are_and_cant_move_the_cursor(terminal: Terminal) -> None:
    for name in ("[bold]a{b}:smile:.png", "a\nb\x1b[2J.png", "a" * 200 + ".png", "絵" * 60):
        with Display(1, stream=terminal, clock=Clock()) as display:
            display.started(name)
            display.progress(name, tiles(1))
    assert "[bold]a{b}:smile:.png" in terminal.text
    assert "a\ufffdb\ufffd[2J.png" in terminal.text
    assert "\x1b[2J" not in terminal.getvalue()
    assert all("1/40 tiles" in line for line in terminal.text.splitlines() if "a" * 20 in line)


def test_a_terminal_that_cant_move_its_cursor_gets_lines(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    clock = Clock()
    with Display(1, stream=terminal, clock=clock) as display:
        display.started("a.png")
        clock.now += LINE_SECONDS
        display.progress("a.png", tiles(1))
    assert terminal.getvalue() == "a.png: 1 of 40 tiles\n"


def test_progress_of_a_picture_that_has_ended_is_passed_over() -> None:
    pipe, clock = io.StringIO(), Clock()
    with Display(2, stream=pipe, clock=clock) as display:
        display.started("a.png")
        display.failed("a.png")
        clock.now += LINE_SECONDS
        display.progress("a.png", tiles(1))
    assert pipe.getvalue() == ""


SCRIPT = """
import time
from sakuga.cli.progress import Display
from sakuga_core.progress import Progress
with Display(30) as display:
    for i in range(30):
        display.started(str(i))
        display.done(str(i), 1000)
        display.print(f"line {i} [red] " + "x" * 90)
        time.sleep(0.02)
"""


def output_of_a_terminal(**streams: int | None) -> tuple[bytes, bytes]:
    """What a program writes on its terminal, and on its standard output, where that is a pipe."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stderr=its,
        stdin=its,
        stdout=subprocess.PIPE if streams.get("stdout") else its,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(its)
    shown = bytearray()
    try:
        while data := os.read(ours, 1 << 16):
            shown += data
    except OSError:  # the other side is closed
        pass
    out = process.stdout.read() if process.stdout else b""
    assert process.wait() == 0
    os.close(ours)
    return bytes(shown), out


def screen(shown: bytes) -> list[str]:
    """The lines that a terminal has at the end, of what moves up and clears lines alone."""
    lines, at = [""], 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r\n|\r|\n|[^\x1b\r\n]+", shown.decode()):
        if part in ("\r\n", "\n"):
            at += 1
            lines += [""] if at == len(lines) else []
        elif part == "\x1b[2K":
            lines[at] = ""
        elif re.fullmatch(r"\x1b\[\d+A", part):
            at -= int(part[2:-1])
        elif not part.startswith("\x1b") and part != "\r":
            lines[at] += part
    return [line for line in lines if line]


def test_printed_lines_and_the_bar_dont_tear_each_other_on_a_terminal() -> None:
    shown, _ = output_of_a_terminal()
    assert b"30/30" in shown
    assert screen(shown) == [f"line {i} [red] " + "x" * 90 for i in range(30)]


def test_printed_lines_go_to_standard_output_where_that_is_a_pipe() -> None:
    shown, out = output_of_a_terminal(stdout=1)
    assert out.decode().splitlines() == [f"line {i} [red] " + "x" * 90 for i in range(30)]
    assert b"line" not in shown
    assert b"30/30" in shown


def test_without_a_terminal_rich_isnt_imported() -> None:
    code = "import sys\nfrom sakuga.cli.progress import Display\nwith Display(1): pass\n"
    code += "print('rich' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\n"


def test_a_closed_standard_error_is_no_failure() -> None:
    code = "from sakuga.cli.progress import Display\nwith Display(1) as d: d.print('a line')"
    closed = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code], stdout=subprocess.PIPE
    )
    assert (closed.returncode, closed.stdout) == (0, b"a line\n")
