"""Small files that would take much: pixels, frames, pages, metadata, or time."""

import io
import struct
import zlib
from random import Random

import numpy as np
from PIL import Image

from animations import Op, apng, gif, gif_control, riff, webp
from lying import LIES
from metadata_for_tests import EXIF, XMP, directory_at, jpeg_with, png_with, tiff_stream
from pictures import chunk, encoded, gradient, png, png_header, tiff

HUGE = 400_000_000  # pixels


def pixels(chance: Random) -> bytes:
    """A header, or all of a file, of hundreds of megabytes."""
    side = chance.randrange(20_000, 60_000)
    return chance.choice((_png, _bmp, _tga, _psd, _qoi, _tiff_strips, _gif))(side)


def _png(side: int) -> bytes:
    """Half of its pixels are there, which are a few kilobytes."""
    rows = zlib.compress(bytes(side // 8 * 1000), 9)
    return png_header(side, side, 1, 0) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _bmp(side: int) -> bytes:
    """Runs of 255 pixels in two bytes."""
    head = struct.pack("<2sIHHIIiiHHII", b"BM", 0, 0, 0, 1078, 40, side, side, 1, 8, 1, 0)
    return head + bytes(16 + 1024) + b"\xff\1" * 20_000


def _tga(side: int) -> bytes:
    head = struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, side, side, 24, 0)
    return head + b"\xff\1\2\3" * 9_000


def _psd(side: int) -> bytes:
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, side // 2, side // 2, 8, 3) + bytes(12)
    return head + b"\0\1" + b"\0\x02" * 3 * (side // 2)


def _qoi(side: int) -> bytes:
    return b"qoif" + struct.pack(">IIBB", side, side, 3, 0) + b"\xfd" * 9_000 + bytes(7) + b"\1"


def _gif(side: int) -> bytes:
    head = struct.pack("<6sHHBBB", b"GIF89a", side, side, 0x80, 0, 0) + bytes(6)
    return head + struct.pack("<BHHHHB", 0x2C, 0, 0, side, side, 0) + b"\2\2\x4c\1\0;"


def _tiff_strips(side: int) -> bytes:
    """A row in each strip, and all of them the same one."""
    tags = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)]
    strip = zlib.compress(bytes(side))
    tags += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, 1, len(strip))]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    end = 8 + len(strip)
    return (
        b"II*\0"
        + struct.pack("<I", end)
        + strip
        + struct.pack("<H", len(tags))
        + entries
        + bytes(4)
    )


def claimed(chance: Random, sound: dict[str, bytes]) -> bytes:
    """A sound file with a header of up to the longest sides."""
    name = chance.choice(sorted(LIES.keys() & sound.keys()))
    most = chance.choice((200, 4_000, 16_383))
    return LIES[name](sound[name], chance.randrange(1, most), chance.randrange(1, most))


def frames(chance: Random) -> bytes:
    """Thousands of frames or pages, or no end of them."""
    count = chance.randrange(300, 1_500)
    kinds = (_apng_count, _apng_frames, _gif_frames, _gif_empty, _webp_frames, _pages, _page_loop)
    return chance.choice(kinds)(count)


def _drawings(count: int) -> list[Op]:
    return [Op(n % 7, n % 5, gradient(3, 3)[..., [0, 1, 2, 0]] | 255) for n in range(count)]


def _apng_count(count: int) -> bytes:
    file = apng(_drawings(3), 10, 8, still=np.zeros((8, 10, 4), np.uint8))
    at = file.index(b"acTL") - 4
    control = chunk(b"acTL", struct.pack(">II", count * 700_000, 0))
    return file[:at] + control + file[at + len(control) :]


def _apng_frames(count: int) -> bytes:
    return apng(_drawings(count), 10, 8, still=np.zeros((8, 10, 4), np.uint8))


def _gif_frames(count: int) -> bytes:
    return gif(_drawings(1) * (count // 10), 500, 500)


def _gif_empty(count: int) -> bytes:
    """Frames of no size on a large canvas."""
    head = struct.pack("<6sHHBBB", b"GIF89a", 500, 500, 0x80, 0, 0) + bytes(6)
    frame = gif_control(1, 1) + struct.pack("<BHHHHB", 0x2C, 0, 0, 0, 0, 0) + b"\2\1\x2c\0"
    return head + frame * count + b";"


def _webp_frames(count: int) -> bytes:
    file = webp(_drawings(1), 500, 400)
    at = file.index(b"ANMF")
    body = file[12:at] + file[at:] * count
    return riff(b"RIFF", b"WEBP" + body)


def _pages(count: int) -> bytes:
    page, file = Image.fromarray(gradient(1, 1)), io.BytesIO()
    page.save(file, "TIFF", save_all=True, append_images=[page] * (count // 5))
    return file.getvalue()


def _page_loop(count: int) -> bytes:
    """A directory that is its own successor; and many that lead to each other."""
    data = bytearray(tiff(gradient(4, 4)))
    (at,) = struct.unpack_from("<I", data, 4)
    (tags,) = struct.unpack_from("<H", data, at)
    struct.pack_into("<I", data, at + 2 + 12 * tags, at if count % 2 else at + 12)
    return bytes(data)


def metadata(chance: Random) -> bytes:
    """A bomb, a flood, a loop, or garbage where there is no picture."""
    kinds = (_inflating, _texts, _comments, _exif_loop, _exif_counts, _xmp, _profile, _resources)
    return chance.choice(kinds)(chance)


def _inflating(chance: Random) -> bytes:
    bomb = zlib.compress(bytes(chance.randrange(8, 20) << 20), 9)
    heads = {b"zTXt": b"key\0\0", b"iTXt": b"key\0\1\0\0\0", b"iCCP": b"key\0\0"}
    kind = chance.choice(sorted(heads))
    return png_with(*[(kind, heads[kind] + bomb)] * chance.randint(1, 9))


def _texts(chance: Random) -> bytes:
    return png_with(*[(chance.choice((b"tEXt", b"prVt", b"eXIf")), b"a\0b")] * 12_000)


def _comments(chance: Random) -> bytes:
    kind = chance.choice((0xFE, 0xE0, 0xE1, 0xE2, 0xED, 0xEE))
    return jpeg_with(*[(kind, chance.randbytes(chance.randrange(9)))] * chance.choice((60, 20_000)))


def _exif_loop(chance: Random) -> bytes:
    """Directories that lie in each other, or in themselves."""
    places = [struct.pack("<I", chance.choice((8, 10, 22, 0, 2**32 - 1))) for _ in range(4)]
    codes = (0x8769, 0x8825, 0xA005, 0x014A)
    entries = [(code, 4, 1, place) for code, place in zip(codes, places, strict=True)]
    return _with_exif(chance, tiff_stream(entries, more=directory_at(62, entries)))


def _exif_counts(chance: Random) -> bytes:
    """Values longer than the file, of every type."""
    entries = b"".join(
        struct.pack("<HHII", code, chance.randrange(20), chance.choice((0, 2**31, 2**32 - 1)), 8)
        for code in range(0x100, 0x100 + chance.choice((30, 4_000)))
    )
    return _with_exif(chance, b"II*\0\x08\0\0\0\xff\xff" + entries)


def _with_exif(chance: Random, stream: bytes) -> bytes:
    if chance.random() < 0.3:
        return png_with((b"eXIf", stream))
    if chance.random() < 0.3:
        return stream  # a TIFF
    return jpeg_with((0xE1, EXIF + stream[:65_000]))


def _xmp(chance: Random) -> bytes:
    packets = (
        b"<a>" * 20_000,
        b'<!DOCTYPE a [<!ENTITY b "' + b"c" * 999 + b'"><!ENTITY d "&b;&b;">]><a>&d;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a " + b"".join(b'x%d="1" ' % n for n in range(5_000)) + b"/>",
        b"tiff:Orientation=" + b" " * 60_000 + b"'",
        b"<xmp:Thumbnails" * 4_000 + b"</xmp:Thumbnails>" * 100,
    )
    return jpeg_with((0xE1, XMP + chance.choice(packets)[:65_000]))


def _profile(chance: Random) -> bytes:
    body = chance.randbytes(400)
    profile = struct.pack(">I32s4s", 400, body[:32], b"acsp") + body[:88]
    tags = struct.pack(">I", chance.choice((1, 99, 2**32 - 1))) + body[:268]
    profile = (profile + tags)[:400].ljust(400, b"\0")
    if chance.random() < 0.5:
        return png_with((b"iCCP", b"x\0\0" + zlib.compress(profile)))
    return encoded(gradient(9, 9), chance.choice(("WEBP", "JPEG", "TIFF")), icc_profile=profile)


def _resources(chance: Random) -> bytes:
    """Photoshop's, in a JPEG."""
    number, size = chance.choice((0x404, 0x40F, 0x422)), chance.choice((0, 9, 2**32 - 1))
    part = struct.pack(">4sHHI", b"8BIM", number, 0, size) + chance.randbytes(9)
    return jpeg_with((0xED, (b"Photoshop 3.0\0" + part * 3_000)[:65_000]))


def scans(chance: Random) -> bytes:
    """A JPEG of many scans, or restarts, or comments among its scans."""
    file = encoded(gradient(48, 40), "JPEG", progressive=True)
    at = file.rindex(b"\xff\xda")
    more = chance.choice((file[at:-2], b"\xff\xfe\0\7hello", b"\xff\xdd\0\4\0\1", b"\xff\xd0"))
    return file[:at] + more * chance.choice((60, 99, 5_000)) + file[at:]


def interlaced(chance: Random) -> bytes:
    """A PNG whose rows go to and fro, with an odd depth and palette."""
    depth, kind = chance.choice(((1, 0), (2, 3), (4, 3), (8, 3), (8, 2), (16, 6), (16, 4)))
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    most = chance.choice((2, 2**depth))
    shape = chance.randrange(1, 40), chance.randrange(1, 40), channels
    samples = np.random.default_rng(chance.randrange(99)).integers(0, most, shape, np.uint16)
    palette = chunk(b"PLTE", chance.randbytes(3 * chance.choice((1, 4, 256))))
    return png(samples, depth, kind, *([palette] * (kind == 3)), interlaced=True)
