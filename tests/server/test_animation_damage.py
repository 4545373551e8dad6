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
from sakuga_server.imaging import animation
from sakuga_server.imaging.animation import Animation, avif

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
    assert moving.warnings == [f"33 bytes behind the {title}'s end were left out"]


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


def test_a_webp_frame_beside_the_canvas_ends_the_animation() -> None:
    data = bytearray(whole("webp"))
    data[data.rfind(b"ANMF") + 8] = SIZE[0]
    moving = read(bytes(data))
    assert same(colours(moving), colours(read(whole("webp")))[:5])
    assert moving.warnings == ["frame 6 of the WebP is damaged; it ends there"]


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
