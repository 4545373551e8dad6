"""Damaged animations: the whole frames before the damage and a warning, or a typed error."""

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

import animations as made
from moving import LIMITS, read, same, shown
from pictures import chunk, gradient
from sakuga import TooLarge
from sakuga_server.imaging import animation, sequence
from sakuga_server.imaging.animation import Animation, avif
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.reading.samples import FRAMES

SIZE = 14, 11
FORMATS = ("gif", "png", "webp", "avif")


def whole(format: str) -> bytes:
    drawings = made.ops(5, 6, SIZE, disposals=(made.KEEP, made.CLEAR), step=2)
    if format == "avif":
        images = [Image.fromarray(np.roll(gradient(40, 60), 9 * n, axis=1)) for n in range(6)]
        file = io.BytesIO()
        images[0].save(file, "AVIF", save_all=True, append_images=images[1:], duration=50)
        return file.getvalue()
    if format == "gif":
        return made.gif(made.indexed(drawings, 5), *SIZE)
    return {"png": made.apng, "webp": made.webp}[format](drawings, *SIZE)


def colours(moving: Animation) -> list[np.ndarray]:
    """Its frames without alpha, which they may have no more without those that follow."""
    return [frame[..., :3] for frame in shown(moving)]


def cut(data: bytes, at: int) -> bytes:
    return data[: len(data) * (at + 1) // 21]


def flipped(data: bytes, seed: int) -> bytes:
    random = np.random.default_rng(seed)
    result = bytearray(data)
    for at in random.integers(8, len(data), 3):
        result[at] ^= 1 << int(random.integers(8))
    return bytes(result)


def blanked(data: bytes, at: int) -> bytes:
    start = 8 + (len(data) - 24) * at // 20
    return data[:start] + bytes(16) + data[start + 16 :]


def without(data: bytes, at: int) -> bytes:
    start = 8 + (len(data) - 24) * at // 20
    return data[:start] + data[start + 7 :]


@pytest.mark.parametrize("number", range(20))
@pytest.mark.parametrize("damage", [cut, flipped, blanked, without])
@pytest.mark.parametrize("format", FORMATS)
def test_damage_gives_frames_that_can_be_decoded_or_a_typed_error(
    format: str, damage: Callable[[bytes, int], bytes], number: int
) -> None:
    try:
        moving = animation.read(damage(whole(format), number), LIMITS)
    except TooLarge:
        moving = None
    assert moving is None or len(shown(moving)) > 1


@pytest.mark.parametrize("at", range(20))
@pytest.mark.parametrize("format", ["gif", "png", "webp"])
def test_a_truncated_file_gives_its_whole_frames(format: str, at: int) -> None:
    data = whole(format)
    original = read(data)
    moving = animation.read(cut(data, at), LIMITS)
    if moving is None:  # a still picture
        assert at < 15
        return
    frames = colours(moving)
    assert same(frames, colours(original)[: len(frames)])
    assert moving.timing.durations == original.timing.durations[: len(frames)]
    assert moving.warnings


def test_a_gif_without_its_end_is_whole() -> None:
    data = whole("gif")
    moving = read(data[:-1])
    assert same(shown(moving), shown(read(data)))
    assert moving.warnings == ["the GIF has no end"]


@pytest.mark.parametrize(("format", "title"), [("gif", "GIF"), ("webp", "WebP")])
def test_what_lies_behind_the_end_is_left_out(format: str, title: str) -> None:
    data = whole(format)
    moving = read(data + b"left behind" * 3)
    assert same(shown(moving), shown(read(data)))
    assert moving.warnings == [f"33 bytes after the {title}'s end were ignored"]


# An APNG's errors: PNG, third edition, 13.14


def chunks(data: bytes) -> list[bytes]:
    parts, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        parts.append(data[at : at + 12 + length])
        at += 12 + length
    return parts


def rewritten(edit: Callable[[list[bytes]], None]) -> bytes:
    data = whole("png")
    parts = chunks(data)
    edit(parts)
    return data[:8] + b"".join(parts)


def places(parts: list[bytes], kind: bytes) -> list[int]:
    return [at for at, part in enumerate(parts) if part[4:8] == kind]


def patched(part: bytes, at: int, value: bytes) -> bytes:
    """A chunk with other bytes in its body, and the right checksum."""
    body = part[8:-4]
    return chunk(part[4:8], body[:at] + value + body[at + len(value) :])


def ended(data: bytes) -> tuple[int, str]:
    """How many frames of the whole APNG are left, and the warnings."""
    moving = read(data)
    found, original = colours(moving), colours(read(whole("png")))
    assert same(found, original[: len(found)])
    return len(found), " / ".join(moving.warnings)


def test_a_missing_sequence_number_ends_the_animation() -> None:
    def edit(parts: list[bytes]) -> None:
        del parts[places(parts, b"fcTL")[3] + 1]  # half of the fourth frame's pixels

    frames, warnings = ended(rewritten(edit))
    assert frames == 3
    assert "sequence number" in warnings


def test_chunks_out_of_order_end_the_animation() -> None:
    def edit(parts: list[bytes]) -> None:
        at = places(parts, b"fcTL")[3]
        parts[at], parts[at + 1] = parts[at + 1], parts[at]

    frames, warnings = ended(rewritten(edit))
    assert frames == 3
    assert "sequence number" in warnings


def test_a_frame_beside_the_canvas_ends_the_animation() -> None:
    def edit(parts: list[bytes]) -> None:
        at = places(parts, b"fcTL")[4]
        parts[at] = patched(parts[at], 12, struct.pack(">I", SIZE[0]))

    frames, warnings = ended(rewritten(edit))
    assert frames == 4
    assert "frame 5 doesn't lie on the canvas" in warnings


def test_a_wrong_checksum_of_a_control_ends_the_animation() -> None:
    def edit(parts: list[bytes]) -> None:
        at = places(parts, b"fcTL")[2]
        parts[at] = parts[at][:-1] + bytes((parts[at][-1] ^ 1,))

    frames, warnings = ended(rewritten(edit))
    assert frames == 2
    assert "checksum of fcTL" in warnings


def test_damaged_pixels_end_the_animation() -> None:
    def edit(parts: list[bytes]) -> None:
        at = places(parts, b"fcTL")[2] + 1
        parts[at] = patched(parts[at], 20, b"\xaa\xbb")

    frames, warnings = ended(rewritten(edit))
    assert frames == 2
    assert "frame 3 of 6 is damaged" in warnings


def test_frames_beyond_the_announced_ones_are_left_out() -> None:
    def edit(parts: list[bytes]) -> None:
        at = places(parts, b"acTL")[0]
        parts[at] = patched(parts[at], 0, struct.pack(">I", 4))

    frames, warnings = ended(rewritten(edit))
    assert frames == 4
    assert "more fcTL than frames" in warnings


def test_fewer_frames_than_announced_are_all_shown() -> None:
    def edit(parts: list[bytes]) -> None:
        at = places(parts, b"acTL")[0]
        parts[at] = patched(parts[at], 0, struct.pack(">I", 9))

    frames, warnings = ended(rewritten(edit))
    assert frames == 6
    assert "of 9 frames it has 6" in warnings


def test_an_apng_whose_first_frame_doesnt_cover_the_canvas_is_a_still_picture() -> None:
    def edit(parts: list[bytes]) -> None:
        at = places(parts, b"fcTL")[0]
        parts[at] = patched(parts[at], 4, struct.pack(">I", SIZE[0] - 1))

    assert animation.read(rewritten(edit), LIMITS) is None


def test_an_apng_of_no_frames_is_a_still_picture() -> None:
    def edit(parts: list[bytes]) -> None:
        at = places(parts, b"acTL")[0]
        parts[at] = patched(parts[at], 0, struct.pack(">I", 0))

    assert animation.read(rewritten(edit), LIMITS) is None


def test_two_controls_before_the_still_image_make_it_a_still_picture() -> None:
    def edit(parts: list[bytes]) -> None:
        at = places(parts, b"fcTL")[0]
        parts.insert(at + 1, patched(parts[at], 0, struct.pack(">I", 1)))

    assert animation.read(rewritten(edit), LIMITS) is None


# One whole frame is a still picture, and its warning says why


def stills_warnings(data: bytes) -> str:
    """Of a file that is read as a still picture."""
    assert sequence.read(data, LIMITS) is None
    warnings = decode(data, LIMITS).warnings
    assert FRAMES not in warnings
    return " / ".join(warnings)


SECOND_CONTROLS = {
    "no size": (4, bytes(8), "frame 2 doesn't lie on the canvas"),
    "outside": (12, struct.pack(">II", 10, 10), "frame 2 doesn't lie on the canvas"),
    "number": (0, struct.pack(">I", 9), "sequence number 9 stands where 1 should"),
    "disposal": (24, b"\7", "frame 2 is shown in no known way"),
}


@pytest.mark.parametrize("name", SECOND_CONTROLS)
def test_a_damaged_second_control_is_told_of_the_still_picture(name: str) -> None:
    at, value, reason = SECOND_CONTROLS[name]

    def edit(parts: list[bytes]) -> None:
        place = places(parts, b"fcTL")[1]
        parts[place] = patched(parts[place], at, value)

    warning = f"the APNG is damaged: {reason}; the animation ends there"
    assert stills_warnings(rewritten(edit)) == warning


def second_pixels(body: Callable[[bytes], bytes]) -> bytes:
    def edit(parts: list[bytes]) -> None:
        place = places(parts, b"fcTL")[1] + 1
        parts[place] = chunk(b"fdAT", body(parts[place][8:-4]))

    return rewritten(edit)


def test_damaged_pixels_of_the_second_frame_are_told_of_the_still_picture() -> None:
    assert "a chunk is too short" in stills_warnings(second_pixels(lambda body: body[:2]))
    zeros = second_pixels(lambda body: body[:4] + bytes(len(body) - 4))
    assert "frame 2 of 6 is damaged" in stills_warnings(zeros)


def test_an_apng_whose_still_image_is_used_doesnt_say_it_was_left_out() -> None:
    drawings = made.ops(5, 3, SIZE)
    data = made.apng(drawings, *SIZE, still=drawings[0].pixels)
    at = data.index(b"fcTL", data.index(b"fcTL") + 4)
    data = made.fresh_checksums(data[: at + 8] + bytes(8) + data[at + 16 :])
    assert stills_warnings(data).endswith("the animation ends there")


def test_a_damaged_second_frame_of_a_gif_is_told_of_the_still_picture() -> None:
    data = whole("gif")
    at = data.index(b"!\xf9", data.index(b"!\xf9") + 2)
    assert stills_warnings(data[:at]) == "the GIF has no end"
    assert "unknown block (7); the animation ends" in stills_warnings(data[:at] + b"\7" + data[at:])
    pixels = at + 8 + 10 + 768  # behind its control, its descriptor, and its colours
    damaged = data[:pixels] + b"\15" + data[pixels + 1 :]
    assert "frame 2 of 6 is damaged" in stills_warnings(damaged)


def test_a_damaged_second_frame_of_a_webp_is_told_of_the_still_picture() -> None:
    data = whole("webp")
    at = data.index(b"ANMF", data.index(b"ANMF") + 4) + 24
    warnings = stills_warnings(data[:at] + b"lost" + data[at + 4 :])
    assert warnings == "frame 2 of the WebP is damaged; the animation ends there"


def test_a_damaged_second_frame_of_an_avif_is_told_of_the_still_picture() -> None:
    data = bytearray(whole("avif"))
    found = {box.kind: box for box in avif.leaves(bytes(data))}
    start, sizes = found[b"stco"].number(8, 4), found[b"stsz"]
    first, second = sizes.number(12, 4), sizes.number(16, 4)
    data[start + first : start + first + second] = bytes(second)
    assert "frame 2 of 6 is damaged" in stills_warnings(bytes(data))


@pytest.mark.parametrize("format", FORMATS)
def test_the_first_frame_of_a_whole_animation_is_said_to_be_that(format: str) -> None:
    assert decode(whole(format), LIMITS).warnings == [FRAMES]


def test_a_webp_chunk_that_ends_behind_the_file_ends_the_animation() -> None:
    data = bytearray(whole("webp"))
    at = data.rfind(b"ANMF") + 4
    data[at : at + 4] = struct.pack("<I", 1 << 30)
    moving = read(bytes(data))
    assert same(colours(moving), colours(read(whole("webp")))[:5])
    warning = "a chunk behind frame 5 of the WebP is damaged; the animation ends there"
    assert moving.warnings == [warning]


def test_a_webp_frame_beside_the_canvas_ends_the_animation() -> None:
    data = bytearray(whole("webp"))
    data[data.rfind(b"ANMF") + 8] = SIZE[0]
    moving = read(bytes(data))
    assert same(colours(moving), colours(read(whole("webp")))[:5])
    assert moving.warnings == ["frame 6 of the WebP is damaged; the animation ends there"]


def test_a_webp_frame_of_another_size_than_its_header_says_is_damaged() -> None:
    data = bytearray(whole("webp"))
    at = data.rfind(b"ANMF") + 8
    data[at + 6] ^= 1  # its width
    assert len(shown(read(bytes(data)))) == 5


def test_boxes_without_end_are_no_trap() -> None:
    nested = b""
    for _ in range(5000):
        nested = struct.pack(">I4s", len(nested) + 8, b"trak") + nested
    assert len(list(avif.leaves(nested))) == 1
    assert len(list(avif.leaves(struct.pack(">I4s", 8, b"free") * 50_000))) == avif.MOST
