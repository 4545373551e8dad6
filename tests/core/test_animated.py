"""What counts as animated, against Pillow's and tifffile's own count of frames."""

import io
import struct
import zlib

import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pictures import chunk, gradient, png_header
from sakuga_core import animated as module
from sakuga_core.animated import animated


def pages(count: int) -> list[Image.Image]:
    return [Image.new("RGB", (9, 7), (40 * i, 200 - 30 * i, 90)) for i in range(count)]


def saved(format: str, count: int, **options: object) -> bytes:
    first, *others = pages(count)
    file = io.BytesIO()
    more = {"save_all": True, "append_images": others, "duration": 40} if others else {}
    first.save(file, format, **more, **options)
    return file.getvalue()


def counted(data: bytes) -> int:
    return getattr(Image.open(io.BytesIO(data)), "n_frames", 1)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("GIF", {}),
        ("GIF", {"comment": b"x" * 1000}),
        ("GIF", {"loop": 0, "interlace": False}),
        ("PNG", {}),
        ("PNG", {"icc_profile": bytes(3000)}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}),
        ("AVIF", {}),
        ("TIFF", {}),
        ("TIFF", {"big_tiff": True}),
        ("TIFF", {"compression": "tiff_deflate"}),
    ],
)
def test_a_file_is_animated_if_pillow_finds_several_frames(
    format: str, options: dict[str, object], count: int
) -> None:
    data = saved(format, count, **options)
    assert counted(data) == count
    assert animated(data) == (count > 1)


@pytest.mark.parametrize("format", ["JPEG", "BMP", "ICO", "TGA"])
def test_other_formats_are_single_pictures(format: str) -> None:
    assert not animated(saved(format, 1))


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("count", [1, 2])
def test_tiffs_of_both_byte_orders_and_sizes_of_numbers(order: str, big: bool, count: int) -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder=order, bigtiff=big) as writer:
        for _ in range(count):
            writer.write(gradient(8, 8))
    assert animated(file.getvalue()) == (count > 1)


def test_a_tiff_whose_second_directory_is_its_first_or_lies_outside_is_a_single_picture() -> None:
    data = bytearray(saved("TIFF", 1))
    first = struct.unpack_from("<I", data, 4)[0]
    after = first + 2 + 12 * struct.unpack_from("<H", data, first)[0]
    for second in (first, len(data), 2**32 - 1, 1):
        struct.pack_into("<I", data, after, second)
        assert not animated(bytes(data))


def test_an_apng_of_one_frame_is_a_single_picture() -> None:
    rows = zlib.compress(bytes(1 + 3))
    for frames in (0, 1, 2):
        control = chunk(b"acTL", struct.pack(">II", frames, 0))
        body = chunk(b"IDAT", rows) + chunk(b"IEND", b"")
        assert animated(png_header(1, 1) + control + body) == (frames > 1)
        assert not animated(png_header(1, 1) + body[:-12] + control + body[-12:])  # too late


def test_a_still_webp_with_metadata_is_a_single_picture() -> None:
    data = saved("WEBP", 1, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
    assert data[12:16] == b"VP8X"
    assert not animated(data)


def test_a_gif_with_stray_bytes_between_its_blocks_is_read_on() -> None:
    data = saved("GIF", 3, loop=0)
    at = data.index(b"!\xff\x0bNETSCAPE")
    assert animated(data[:at] + bytes(3) + data[at:])


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
@given(data=st.data())
def test_a_damaged_file_never_raises(format: str, data: st.DataObject) -> None:
    whole = bytearray(SAVED[format])
    cut = data.draw(st.integers(0, len(whole)))
    for _ in range(data.draw(st.integers(0, 8))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    assert animated(bytes(whole[:cut])) in (True, False)


SAVED = {kind: saved(kind, 2) for kind in ("GIF", "PNG", "WEBP", "AVIF", "TIFF")}


@pytest.mark.parametrize(
    "endless",
    [
        b"GIF89a" + bytes(7) + b"," + bytes(10) + b"\1\0" * 5000,
        b"GIF89a" + bytes(7) + b"!\xfe\0" * 5000,
        b"GIF89a" + bytes(7) + b"\7" * 5000,
        png_header(1, 1) + chunk(b"tEXt", b"") * 5000,
    ],
)
def test_a_look_ends_after_a_bounded_number_of_blocks(
    endless: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(module, "MOST", 100)
    count = module._number
    monkeypatch.setattr(module, "_number", lambda *args: seen.append(args[1]) or count(*args))
    assert not animated(endless + saved("GIF", 2))
    assert max(seen, default=0) < 100 * 30
