"""What is read of a file's metadata, and what of it is true of the result."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from metadata_for_tests import (
    EXIF,
    XMP,
    directory,
    exif_of,
    jpeg_segments,
    jpeg_with,
    metadata_of,
    plugin,
    png_chunks,
    png_with,
    result,
    tiff_stream,
    user_comment,
)
from pictures import CASES, case
from sakuga_server.imaging.metadata import Color, Metadata, orientation, read

XMP_REST = b"http://ns.adobe.com/xmp/extension/\0"
PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" %b/>'
    b"</rdf:RDF></x:xmpmeta>"
)
TITLE = PACKET % b'dc:format="image/x-drawn"'


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif", "heic", "jxl"])
def test_a_generators_parameters_go_into_the_comment_of_exif(format: str) -> None:
    plugin(format)
    data, _ = result(metadata_of(case("meta.png"), "png"), format)
    expected = b"UNICODE\0" + Image.open(CASES / "meta.png").text["parameters"].encode("utf-16-be")
    assert user_comment(exif_of(data)) == expected


def test_every_text_of_a_png_stays_of_its_kind() -> None:
    data, warnings = result(metadata_of(case("meta.png"), "png"), "png")
    assert warnings == []
    texts = {b"tEXt", b"zTXt", b"iTXt"}
    before = [(kind, body.split(b"\0")[0]) for kind, body in png_chunks(case("meta.png"))]
    after = [(kind, body.split(b"\0")[0]) for kind, body in png_chunks(data)]
    assert sorted(c for c in after if c[0] in texts) == sorted(c for c in before if c[0] in texts)
    assert Image.open(io.BytesIO(data)).text == Image.open(CASES / "meta.png").text


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff", "avif"])
def test_xmp_of_a_png_is_kept(format: str) -> None:
    data, _ = result(metadata_of(case("meta.png"), "png"), format)
    found = Image.open(io.BytesIO(data)).info
    packet = found.get("xmp") or found["XML:com.adobe.xmp"]
    assert b"<dc:title>T</dc:title>" in (packet.encode() if isinstance(packet, str) else packet)


@pytest.mark.parametrize("source", ["dpi.jpg", "dpi.bmp", "meta.png"])
@pytest.mark.parametrize("format", ["png", "jpeg", "tiff", "bmp"])
def test_the_resolution_is_kept(source: str, format: str) -> None:
    kind = {"jpg": "jpeg"}.get(source[-3:], source[-3:])
    data, _ = result(metadata_of(case(source), kind), format)
    assert Image.open(io.BytesIO(data)).info["dpi"] == pytest.approx((300, 300), abs=0.01)


@pytest.mark.parametrize("format", ["webp", "avif"])
def test_the_resolution_goes_into_exif_where_a_format_has_no_place_for_it(format: str) -> None:
    data, warnings = result(metadata_of(case("dpi.jpg"), "jpeg"), format)
    found = Image.open(io.BytesIO(data)).getexif()
    assert (found[0x011A], found[0x011B], found[0x0128]) == (300, 300, 2)
    assert warnings == []


@pytest.mark.parametrize("dpi", [72, 96, 150, 300, 600, 72.5])
def test_a_resolution_survives_pngs_pixels_per_metre(dpi: float) -> None:
    data, _ = result(Metadata(dpi=(dpi, dpi)), "png")
    assert metadata_of(data, "png").dpi == pytest.approx((dpi, dpi), abs=0.01 if dpi % 1 else 0)


def test_xmp_tells_the_size_of_the_result_and_turns_nothing() -> None:
    said = PACKET % b'tiff:Orientation="6" exif:PixelXDimension="9" tiff:ImageLength = \'7\''
    said = said.replace(b"xmlns:dc", b'xmlns:tiff="t" xmlns:exif="e" xmlns:dc')
    source = jpeg_with((0xE1, XMP + said))
    assert orientation(source, "jpeg", None) == 6
    data, _ = result(metadata_of(source, "jpeg"), "webp")
    packet = metadata_of(data, "webp").xmp or b""
    assert b'tiff:Orientation="1"' in packet
    assert b'exif:PixelXDimension="40"' in packet
    assert b"tiff:ImageLength = '30'" in packet


def test_a_comment_goes_from_jpeg_to_jpeg_to_gif_to_png_and_back() -> None:
    comment = "a comment, コメント".encode()
    data, _ = result(metadata_of(jpeg_with((0xFE, comment)), "jpeg"), "jpeg")
    assert Image.open(io.BytesIO(data)).info["comment"] == comment
    data, _ = result(metadata_of(data, "jpeg"), "gif")
    assert Image.open(io.BytesIO(data)).info["comment"] == comment
    data, _ = result(metadata_of(data, "gif"), "png")
    assert Image.open(io.BytesIO(data)).text == {"Comment": comment.decode()}
    data, warnings = result(metadata_of(data, "png"), "jpeg")
    assert Image.open(io.BytesIO(data)).info["comment"] == comment
    assert warnings == []


def test_a_text_of_megabytes_is_kept_and_a_damaged_one_dropped_with_a_warning() -> None:
    (text,) = metadata_of(case("png-ztxt-1200k.png"), "png").text
    assert (text.keyword, len(text.text), text.deflated) == ("workflow", 1_200_000, True)
    found, warnings = read(case("png-bad-crc-text.png"), "png", None)
    assert found == Metadata()
    assert warnings == ["the file's PNG text is damaged (wrong checksum); it was dropped"]


def test_xmp_of_two_megabytes_goes_through_segments_of_jpeg() -> None:
    long = PACKET % (b'dc:source="' + np.random.default_rng(0).bytes(1 << 20).hex().encode() + b'"')
    data, _ = result(
        metadata_of(png_with((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + long)), "png"), "jpeg"
    )
    assert sum(body.startswith(XMP_REST) for _, body in jpeg_segments(data)) > 30
    assert all(len(body) <= 65533 for _, body in jpeg_segments(data))
    packet = metadata_of(data, "jpeg").xmp or b""
    assert long[200:-30] in packet
    assert b"HasExtendedXMP" not in packet


def test_what_both_parts_of_a_long_packet_say_is_joined() -> None:
    guid = b"0123456789ABCDEF" * 2
    note = b'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="%b" dc:a="first"'
    rest = PACKET % b'dc:b="second"'
    half = len(rest) // 2
    pieces = [(0, rest[:half]), (half, rest[half:])]
    segments = [
        (0xE1, XMP_REST + guid + struct.pack(">II", len(rest), at) + piece) for at, piece in pieces
    ]
    outdated = (0xE1, XMP_REST + b"F" * 32 + struct.pack(">II", 4, 0) + b"<a/>")
    source = jpeg_with(outdated, *reversed(segments), (0xE1, XMP + PACKET % (note % guid)))
    packet = metadata_of(source, "jpeg").xmp or b""
    assert b'dc:a="first"' in packet
    assert b'dc:b="second"' in packet
    assert guid not in packet


def test_iptc_goes_from_jpeg_to_png_to_tiff_and_back() -> None:
    records = b"\x1c\2\x19\0\3fog\x1c\2\x78\0\7a rock!"
    photoshop = b"Photoshop 3.0\x008BIM\4\4\0\0" + struct.pack(">I", len(records)) + records
    found = metadata_of(jpeg_with((0xED, photoshop)), "jpeg")
    for kind in ("png", "tiff", "jpeg"):
        data, warnings = result(found, kind)
        found = metadata_of(data, kind)
        assert found.iptc == records
        assert warnings == []
    assert (0xED, photoshop) in list(jpeg_segments(data))


def test_hexadecimal_profiles_of_older_pngs_are_read() -> None:
    exif = EXIF + tiff_stream([(0x0112, 3, 1, b"\6\0"), (0x010E, 2, 6, b"a rock")])
    text = f"\nexif\n{len(exif):8}\n{exif.hex()}\n".encode()
    source = png_with((b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)))
    found = metadata_of(source, "png")
    assert found.text == ()
    assert directory(found.exif or b"")[0x010E] == (2, 6, b"a rock")
    assert orientation(source, "png", None) == 6


def test_gifs_keep_their_xmp_and_comments_from_behind_their_pictures() -> None:
    data, _ = result(Metadata(xmp=TITLE, comment=b"x" * 300), "gif")
    file = data[:-1] + b"\x21\xfe\4late\0" + data[-1:]
    found = metadata_of(file, "gif")
    assert found.xmp == TITLE
    assert found.comment == b"x" * 300 + b"\nlate"
    assert np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).shape == (30, 40, 3)


def test_exif_of_a_jpeg_xl_stands_behind_the_offset_of_its_header() -> None:
    pytest.importorskip("pillow_jxl")
    exif = tiff_stream([(0x010E, 2, 6, b"a rock")])
    data, _ = result(Metadata(exif=exif), "jxl")
    assert b"Exif" + bytes(4) + exif in data  # ISO/IEC 18181-2
    assert metadata_of(data, "jxl").exif == exif


def test_resources_of_a_psd_are_read() -> None:
    exif = tiff_stream([(0x010E, 2, 6, b"a rock")])
    resources = b""
    dpi = struct.pack(">IHHIHH", 300 << 16, 1, 1, 150 << 16, 1, 1)
    for number, body in ((0x03ED, dpi), (0x0422, exif), (0x0424, TITLE)):
        resources += (
            struct.pack(">4sHHI", b"8BIM", number, 0, len(body)) + body + bytes(len(body) % 2)
        )
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 2, 2, 8, 3)
    data = head + bytes(4) + struct.pack(">I", len(resources)) + resources + bytes(18)
    found = metadata_of(data, "psd")
    assert (found.dpi, found.exif, found.xmp) == ((300, 150), exif, TITLE)


@pytest.mark.parametrize(
    ("data", "format"),
    [
        (png_with((b"caBX", b"signed")), "png"),
        (jpeg_with((0xEB, b"JP\0\1\0\0\0\1jumbsigned")), "jpeg"),
    ],
)
def test_content_credentials_are_dropped_with_a_warning(data: bytes, format: str) -> None:
    found, warnings = read(data, format, None)
    assert found == Metadata()
    (warning,) = warnings
    assert "C2PA" in warning


def test_metadata_goes_through_json() -> None:
    kinds = TypeAdapter(Metadata)
    found = metadata_of(case("meta.png"), "png")
    assert kinds.validate_json(kinds.dump_json(found)) == found
    color = Metadata(
        icc=b"\xff\0", color=Color(cicp=(9, 16, 0, 1), light=b"\xfe" * 8), dpi=(1.5, 2)
    )
    assert kinds.validate_json(kinds.dump_json(color)) == color
