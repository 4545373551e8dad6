"""Animations read: against a plain viewer, libwebp, libavif, and Pillow's own."""

import io
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import animations as made
from animations import CLEAR, KEEP, RESTORE, Op
from moving import HEIGHT, LIMITS, SIZE, WIDTH, pillows, read, same, shown, visibly_same
from pictures import case, chunk, encoded, gradient, sample
from sakuga import TooLarge
from sakuga_core.config.server import Limits
from sakuga_server.imaging import animation
from sakuga_server.imaging.picture import Picture

SEEDS = range(12)
GREEN, RED, CLEAN = (0, 200, 0, 255), (200, 0, 0, 255), (0, 0, 0, 0)


def flat(colour: tuple[int, ...], width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    return np.full((height, width, 4), colour, np.uint8)


def over(first: np.ndarray, *others: Op) -> list[Op]:
    return [Op(0, 0, first), *others]


# What is composed


@pytest.mark.parametrize("seed", SEEDS)
def test_apng_frames_are_those_of_a_plain_viewer(seed: int) -> None:
    drawings = made.ops(seed)
    moving = read(made.apng(drawings, *SIZE))
    assert same(shown(moving), made.composed(drawings, *SIZE))
    assert moving.timing.durations == tuple(op.milliseconds for op in drawings)


@pytest.mark.parametrize("seed", SEEDS)
def test_apng_keeps_16_bits(seed: int) -> None:
    drawings = made.ops(seed, dtype=np.uint16)
    moving = read(made.apng(drawings, *SIZE))
    assert moving.deep
    assert same(shown(moving), made.composed(drawings, *SIZE))


@pytest.mark.parametrize("seed", SEEDS)
def test_webp_frames_are_those_of_a_plain_viewer(seed: int) -> None:
    drawings = made.ops(seed, disposals=(KEEP, CLEAR), step=2, first_covers=seed % 2 == 0)
    moving = read(made.webp(drawings, *SIZE))
    assert visibly_same(shown(moving), made.composed(drawings, *SIZE))
    assert moving.timing.durations == tuple(op.milliseconds for op in drawings)


@pytest.mark.parametrize("seed", SEEDS)
def test_webp_frames_are_those_of_libwebp(seed: int) -> None:
    # Of half-transparent pixels libwebp's own arithmetic is coarse.
    drawings = made.ops(seed, disposals=(KEEP, CLEAR), step=2, alphas="binary")
    data = made.webp(drawings, *SIZE)
    frames, durations = pillows(data)
    assert visibly_same(shown(read(data)), frames)
    assert read(data).timing.durations == tuple(durations)


@pytest.mark.parametrize("seed", SEEDS)
def test_lossy_webp_frames_with_alpha_are_those_of_libwebp(seed: int) -> None:
    drawings = made.ops(seed, disposals=(KEEP, CLEAR), step=2, alphas="binary", size=(40, 30))
    data = made.webp(drawings, 40, 30, quality=60)
    assert visibly_same(shown(read(data)), pillows(data)[0])


@pytest.mark.parametrize("seed", SEEDS)
def test_gif_frames_are_those_of_a_plain_viewer_even_where_they_stick_out(seed: int) -> None:
    drawings = made.indexed(made.ops(seed, outside=4, first_covers=seed % 3 > 0), seed)
    moving = read(made.gif(drawings, *SIZE))
    size = (moving.width, moving.height)
    assert visibly_same(shown(moving), made.composed(drawings, *size))
    assert moving.timing.durations == tuple(op.milliseconds for op in drawings)


@pytest.mark.parametrize("seed", SEEDS)
def test_gif_frames_are_those_of_pillow_where_nothing_is_cleared(seed: int) -> None:
    # Pillow clears to the background colour, and browsers to transparency.
    drawings = made.indexed(made.ops(seed, disposals=(KEEP, RESTORE), alphas="binary"), seed)
    data = made.gif([replace(drawings[0], dispose=KEEP), *drawings[1:]], *SIZE)
    assert visibly_same(shown(read(data)), pillows(data)[0])


@pytest.mark.parametrize("seed", SEEDS)
def test_apng_frames_are_those_of_pillow_where_alpha_is_full_or_none(seed: int) -> None:
    # What is restored below a frame with transparency, Pillow 13 gets wrong, and Chromium doesn't.
    drawings = made.ops(seed, alphas="binary", disposals=(KEEP, CLEAR))
    data = made.apng(drawings, *SIZE)
    assert visibly_same(shown(read(data)), pillows(data)[0])


def test_avif_frames_are_those_of_libavif() -> None:
    images = [Image.fromarray(np.roll(gradient(24, 40), 5 * n, axis=1)) for n in range(4)]
    file = io.BytesIO()
    durations = [40, 120, 33, 1000]
    images[0].save(file, "AVIF", save_all=True, append_images=images[1:], duration=durations)
    moving = read(file.getvalue())
    assert same(shown(moving), pillows(file.getvalue())[0])
    assert moving.timing == animation.Timing(tuple(durations), 0)
    assert not moving.alpha


def test_each_call_for_frames_begins_anew() -> None:
    moving = read(made.apng(made.ops(0), *SIZE))
    first = shown(moving)
    assert same(shown(moving), first)


def test_frames_have_pixels_of_their_own() -> None:
    drawings = made.ops(1)
    frames = read(made.apng(drawings, *SIZE)).frames()
    found = []
    for frame in frames:
        found.append(np.dstack([frame.colour, frame.alpha]))
        frame.colour[...] = 7
        frame.alpha[...] = 7
    assert same(found, made.composed(drawings, *SIZE))


@pytest.mark.parametrize(
    ("colour_type", "depth"), [(0, 8), (2, 8), (3, 8), (4, 8), (0, 16), (2, 16), (4, 16)]
)
def test_every_kind_of_apng_gives_rgb(colour_type: int, depth: int) -> None:
    data, expected = two_frames(colour_type, depth)
    moving = read(data)
    assert moving.deep == (depth == 16)
    assert same([frame[..., :3] for frame in shown(moving)], expected)


def two_frames(colour_type: int, depth: int) -> tuple[bytes, list[np.ndarray]]:
    """An APNG of two whole frames, and its colours (H, W, 3)."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2}[colour_type]
    dtype = np.dtype(f">u{depth // 8}")
    samples = np.random.default_rng(depth).integers(0, 4, (2, 5, 6, channels)).astype(dtype)
    if colour_type == 4:
        samples[..., 1] = np.iinfo(dtype).max
    table = np.array([[9, 80, 7], [0, 0, 255], [1, 2, 3], [200, 100, 50]], np.uint8)
    streams = [made.deflated(frame) for frame in samples]
    control = [struct.pack(">IIIIIHHBB", n, 6, 5, 0, 0, 1, 10, 0, 0) for n in (0, 1)]
    data = b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", 6, 5, depth, colour_type, 0, 0, 0)),
            chunk(b"PLTE", table.tobytes()) if colour_type == 3 else b"",
            chunk(b"acTL", struct.pack(">II", 2, 0)),
            *(chunk(b"fcTL", control[0]), chunk(b"IDAT", streams[0])),
            *(chunk(b"fcTL", control[1]), chunk(b"fdAT", struct.pack(">I", 2) + streams[1])),
            chunk(b"IEND", b""),
        )
    )
    native = samples.astype(dtype.newbyteorder("="))
    if colour_type == 3:
        return data, list(table[native[..., 0]])
    return data, list(native if colour_type == 2 else native[..., :1].repeat(3, axis=-1))


# Whether it has transparency


def test_an_opaque_animation_with_alpha_in_its_file_has_none() -> None:
    patch = Op(2, 2, flat(RED, 4, 4))
    veil = Op(4, 2, np.where(np.arange(6)[:, None, None] > 2, flat(GREEN, 6, 6), 0), over=True)
    for write in (made.apng, made.webp):
        moving = read(write(over(flat(GREEN), patch, veil, patch), *SIZE))
        assert not moving.alpha
        assert len(shown(moving)) == 4


@pytest.mark.parametrize(
    "drawings",
    [
        over(flat((0, 200, 0, 254)), Op(0, 0, flat(RED))),
        over(flat(GREEN), Op(2, 2, flat((9, 9, 9, 9), 2, 2))),
        [Op(0, 0, flat(GREEN), dispose=CLEAR), Op(0, 0, flat(RED, 12))],
        [Op(0, 0, flat(GREEN, 12)), Op(0, 0, flat(RED))],
    ],
    ids=["from the first frame on", "by a frame that replaces", "by clearing", "beside the first"],
)
def test_an_animation_that_is_transparent_anywhere_has_alpha(drawings: list[Op]) -> None:
    moving = read(made.webp(drawings, *SIZE))
    assert moving.alpha
    assert visibly_same(shown(moving), made.composed(drawings, *SIZE))


def test_what_is_cleared_and_covered_at_once_stays_opaque() -> None:
    drawings = [Op(0, 0, flat(GREEN), dispose=CLEAR), Op(0, 0, flat(RED), dispose=CLEAR)]
    assert not read(made.webp(drawings, *SIZE)).alpha


def test_the_last_frames_disposal_makes_nothing_transparent() -> None:
    drawings = over(flat(GREEN), Op(0, 0, flat(RED, 4, 4), dispose=CLEAR))
    assert not read(made.webp(drawings, *SIZE)).alpha


def test_a_first_frame_that_is_restored_leaves_nothing() -> None:
    drawings = [Op(0, 0, flat(GREEN), dispose=RESTORE), Op(0, 0, flat(RED, 4, 4))]
    moving = read(made.apng(drawings, *SIZE))
    assert moving.alpha
    assert shown(moving)[1][8, 8].tolist() == [0, 0, 0, 0]


# Files as people have them


def test_a_gif_of_three_frames_has_three() -> None:
    data = case("anim.gif")
    moving = read(data)
    frames, durations = pillows(data)
    assert same(shown(moving), frames)
    assert moving.timing.durations == tuple(durations)
    assert (moving.format, moving.width, moving.height, moving.warnings) == ("gif", 64, 48, [])


def test_an_animation_of_a_sample_by_pillow_comes_back() -> None:
    drawing = Image.fromarray(sample("heroine", (40, 30, 140, 130)))
    images = [drawing.rotate(5 * turn) for turn in range(4)]
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("GIF", {})):
        file = io.BytesIO()
        images[0].save(file, kind, save_all=True, append_images=images[1:], **options)
        assert visibly_same(shown(read(file.getvalue())), pillows(file.getvalue())[0])


def test_a_first_gif_image_larger_than_the_canvas_widens_it() -> None:
    drawings = made.indexed(made.ops(0, alphas="full"), 0)
    moving = read(made.gif(drawings, 3, 2))
    assert (moving.width, moving.height) == SIZE
    assert visibly_same(shown(moving), made.composed(drawings, *SIZE))


def test_an_empty_gif_image_takes_its_time() -> None:
    drawings = made.indexed(made.ops(0, 4), 0)
    empty = struct.pack("<BHHHHB", 0x2C, 0, 0, 0, 0, 0x80) + bytes(6) + b"\x08\x02\x00\x02\x00"
    head = struct.pack("<6sHHBBB", b"GIF89a", *SIZE, 0, 0, 0)
    images = [made.gif_control(5, op.dispose) + made.gif_image(op) for op in drawings]
    data = b"".join((head, *images[:2], made.gif_control(9, 0), empty, *images[2:], b";"))
    moving = read(data)
    assert moving.timing.durations == (50, 50, 90, 50, 50)
    expected = [*drawings[:2], Op(0, 0, np.zeros((0, 0, 4), np.uint8)), *drawings[2:]]
    assert visibly_same(shown(moving), made.composed(expected, *SIZE))


def test_interlaced_gif_images_and_shared_tables_are_read() -> None:
    images = [Image.fromarray(gradient(20, 30)).quantize(60 + n) for n in range(3)]
    file = io.BytesIO()
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], interlace=1)
    assert visibly_same(shown(read(file.getvalue())), pillows(file.getvalue())[0])


def test_a_still_image_that_is_no_frame_is_left_out_and_said() -> None:
    drawings = made.ops(3, first_covers=False)
    moving = read(made.apng(drawings, *SIZE, still=flat(RED)))
    assert same(shown(moving), made.composed(drawings, *SIZE))
    assert moving.warnings == [
        "the APNG's still image, which isn't part of the animation, was dropped"
    ]


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "AVIF", "JPEG", "BMP", "TIFF"])
def test_a_still_picture_is_no_animation(format: str) -> None:
    assert animation.read(encoded(gradient(9, 9), format), LIMITS) is None


def test_a_container_of_one_frame_is_no_animation() -> None:
    drawings = made.ops(0, 1)
    assert animation.read(made.apng(drawings, *SIZE), LIMITS) is None
    assert animation.read(made.webp(drawings, *SIZE), LIMITS) is None
    assert animation.read(made.gif(made.indexed(drawings, 0), *SIZE), LIMITS) is None


def test_exif_turns_the_whole_canvas() -> None:
    drawings = made.ops(2)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    about = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    moving = read(made.apng(drawings, *SIZE, about=about))
    assert (moving.width, moving.height) == (HEIGHT, WIDTH)
    expected = [np.rot90(frame, -1) for frame in made.composed(drawings, *SIZE)]
    assert same(shown(moving), expected)
    kept = Image.Exif()
    kept.load(moving.metadata.exif or b"")
    assert kept.get(0x0112, 1) == 1


def test_a_files_colour_profile_and_texts_are_told() -> None:
    profile = case("gray-icc.jpg")
    with Image.open(io.BytesIO(profile)) as file:
        icc = file.info["icc_profile"]
    webp = io.BytesIO()
    images = [Image.fromarray(gradient(9, 9)), Image.fromarray(gradient(9, 9)[::-1].copy())]
    options = {"save_all": True, "append_images": images[1:], "icc_profile": icc}
    images[0].save(webp, "WEBP", xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", **options)
    found = read(webp.getvalue()).metadata
    assert found.icc == icc
    assert found.xmp
    text = chunk(b"tEXt", b"parameters\0one girl")
    found = read(made.apng(made.ops(0), *SIZE, about=text)).metadata
    assert [(each.keyword, each.text) for each in found.text] == [("parameters", "one girl")]


# Limits, which hold before any pixel is decoded


def undecodable(format: str, count: int = 20) -> bytes:
    """A sound file whose pixels aren't."""
    drawings = made.indexed(made.ops(0, count, step=2, disposals=(KEEP,)), 0)
    if format == "gif":
        return made.gif(drawings, *SIZE, code_size=15)
    data = bytearray({"png": made.apng, "webp": made.webp}[format](drawings, *SIZE))
    mark = {"png": b"fdAT", "webp": b"VP8L"}[format]
    at = data.find(mark)
    while at >= 0:
        data[at + 8 : at + 12] = b"\xff\xff\xff\xff"
        at = data.find(mark, at + 1)
    return bytes(data)


@pytest.mark.parametrize("format", ["gif", "png", "webp"])
def test_what_the_tests_of_limits_read_cant_be_decoded(format: str) -> None:
    assert animation.read(undecodable(format), LIMITS) is None


@pytest.mark.parametrize("format", ["gif", "png", "webp"])
@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"frames": 19}, "frames"),
        ({"input_pixels": WIDTH * HEIGHT - 1}, f"{WIDTH}x{HEIGHT}"),
        ({"animation_pixels": WIDTH * HEIGHT * 20 - 1}, f"{WIDTH * HEIGHT * 20} pixels"),
        ({"input_bytes": 500}, "bytes"),
    ],
)
def test_limits_come_before_any_pixel(format: str, limits: dict[str, int], said: str) -> None:
    with pytest.raises(TooLarge, match=said):
        animation.read(undecodable(format), Limits(**limits))


def test_what_the_limits_allow_is_read() -> None:
    data = made.apng(made.ops(0, 20), *SIZE)
    pixels = WIDTH * HEIGHT
    limits = Limits(frames=20, input_pixels=pixels, animation_pixels=pixels * 20)
    assert len(shown(read(data, limits))) == 20


def test_an_avif_is_within_the_limits_too() -> None:
    images = [Image.fromarray(gradient(24, 40))] * 3
    file = io.BytesIO()
    images[0].save(file, "AVIF", save_all=True, append_images=images[1:], duration=40)
    with pytest.raises(TooLarge, match="3 frames of 40x24"):
        animation.read(file.getvalue(), Limits(animation_pixels=40 * 24 * 3 - 1))


def test_a_gif_image_far_larger_than_its_canvas_takes_no_memory() -> None:
    drawings = made.indexed(made.ops(0, 3), 0)
    huge = struct.pack("<BHHHHB", 0x2C, 0, 0, 65535, 65535, 0x80) + bytes(6) + b"\x08\x01\x00\x00"
    head = struct.pack("<6sHHBBB", b"GIF89a", *SIZE, 0, 0, 0)
    data = b"".join((head, *map(made.gif_image, drawings), huge, b";"))
    with pytest.raises(TooLarge):
        animation.read(data, LIMITS)


def test_pictures_of_frames_know_their_file() -> None:
    moving = read(made.apng(made.ops(0), *SIZE, about=chunk(b"tEXt", b"Title\0a walk")))
    frame: Picture = next(moving.frames())
    assert (frame.metadata, frame.format) == (moving.metadata, "png")
