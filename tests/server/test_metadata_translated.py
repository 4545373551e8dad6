"""Metadata on its way between formats that hold it in different places."""

import io

import numpy as np
import pytest
from PIL import Image

from metadata_for_tests import exif_of, metadata_of, result, tiff_stream, user_comment
from pictures import case, gradient
from sakuga_server.imaging.encode import encode
from sakuga_server.imaging.metadata import HOLDS, Metadata, Text
from sakuga_server.imaging.picture import Picture

PARAMETERS = "1girl, 木\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Seed: 42"
WORKFLOW, PROMPT = '{"nodes": [{"id": 1}]}', '{"3": {"class_type": "KSampler"}}'


def of_comfyui(*more: Text) -> Metadata:
    return Metadata(text=(Text("prompt", PROMPT), Text("workflow", WORKFLOW), *more))


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_parameters_are_where_the_webui_reads_them(format: str) -> None:
    data, warnings = result(Metadata(text=(Text("parameters", PARAMETERS),)), format)
    assert user_comment(exif_of(data)) == b"UNICODE\0" + PARAMETERS.encode("utf-16-be")
    assert warnings == []


def test_parameters_come_back_from_exif_into_a_pngs_text() -> None:
    there, _ = result(Metadata(text=(Text("parameters", PARAMETERS),)), "jpeg")
    back, _ = result(metadata_of(there, "jpeg"), "png")
    assert Image.open(io.BytesIO(back)).text == {"parameters": PARAMETERS}


def test_a_persons_comment_in_exif_does_not_become_parameters() -> None:
    data, _ = result(Metadata(text=(Text("parameters", "taken on two steps: up"),)), "jpeg")
    back, _ = result(metadata_of(data, "jpeg"), "png")
    assert Image.open(io.BytesIO(back)).text == {}


def test_parameters_replace_another_comment_and_that_is_said() -> None:
    earlier, _ = result(Metadata(text=(Text("parameters", "a note"),)), "jpeg")
    exif = metadata_of(earlier, "jpeg").exif
    data, warnings = result(Metadata(exif=exif, text=(Text("parameters", PARAMETERS),)), "webp")
    assert user_comment(exif_of(data)) == b"UNICODE\0" + PARAMETERS.encode("utf-16-be")
    assert warnings == ["webp can't store the EXIF's UserComment; dropped"]


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_prompt_and_workflow_are_where_comfyui_reads_them(format: str) -> None:
    data, warnings = result(of_comfyui(), format)
    exif = Image.open(io.BytesIO(data)).getexif()
    assert exif[0x0110] == f"prompt:{PROMPT}"
    assert exif[0x010F] == f"workflow:{WORKFLOW}"
    assert warnings == []


def test_prompt_and_workflow_come_back_into_a_pngs_text_and_leave_exif() -> None:
    there, _ = result(of_comfyui(), "webp")
    back, _ = result(metadata_of(there, "webp"), "png")
    found = Image.open(io.BytesIO(back))
    assert found.text == {"prompt": PROMPT, "workflow": WORKFLOW}
    assert not {0x010F, 0x0110} & set(found.getexif())


def test_a_workflow_does_not_replace_a_cameras_maker() -> None:
    camera = tiff_stream([(0x010F, 2, 6, b"Canon\0")])
    data, warnings = result(Metadata(exif=camera, text=(Text("workflow", WORKFLOW),)), "webp")
    assert Image.open(io.BytesIO(data)).getexif()[0x010F] == "Canon"
    assert warnings == ["webp can't store PNG text 'workflow'; dropped"]


def test_a_text_too_long_for_a_jpeg_is_left_out_and_the_others_stay() -> None:
    long = Text("workflow", "x" * 70_000)
    texts = (long, Text("parameters", PARAMETERS), Text("Author", "somebody"))
    data, warnings = result(Metadata(text=texts), "jpeg")
    assert user_comment(exif_of(data)) == b"UNICODE\0" + PARAMETERS.encode("utf-16-be")
    assert Image.open(io.BytesIO(data)).getexif()[0x013B] == "somebody"
    assert warnings == ["jpeg can't store PNG text 'workflow'; dropped"]


@pytest.mark.parametrize("format", ["jpeg", "webp", "tiff", "avif"])
def test_pngs_own_keywords_become_tags(format: str) -> None:
    keywords = {"Description": 0x010E, "Author": 0x013B, "Copyright": 0x8298, "Software": 0x0131}
    texts = tuple(Text(keyword, f"{keyword} ©") for keyword in keywords)
    data, warnings = result(Metadata(text=(*texts, Text("Source", "pen"))), format)
    found = Image.open(io.BytesIO(data)).getexif()
    for keyword, tag in keywords.items():
        assert _utf_8(found[tag]) == f"{keyword} ©"
    assert warnings == [f"{format} can't store PNG text 'Source'; dropped"]


def test_a_title_is_the_description_where_there_is_no_other() -> None:
    title, description = Text("Title", "a title"), Text("Description", "a description")
    data, warnings = result(Metadata(text=(title,)), "webp")
    assert Image.open(io.BytesIO(data)).getexif()[0x010E] == "a title"
    assert warnings == []
    data, warnings = result(Metadata(text=(title, description)), "webp")
    assert Image.open(io.BytesIO(data)).getexif()[0x010E] == "a description"
    assert warnings == ["webp can't store PNG text 'Title'; dropped"]


def test_a_gif_has_the_parameters_as_its_comment() -> None:
    texts = (Text("parameters", PARAMETERS), Text("workflow", WORKFLOW))
    data, warnings = result(Metadata(text=texts), "gif")
    assert Image.open(io.BytesIO(data)).info["comment"].decode() == PARAMETERS
    assert "gif can't store PNG text 'workflow'; dropped" in warnings


@pytest.mark.parametrize("format", ["webp", "avif", "tiff"])
def test_a_jpegs_comment_becomes_the_comment_of_exif_where_that_is_free(format: str) -> None:
    data, warnings = result(Metadata(comment="コメント".encode()), format)
    found = Image.open(io.BytesIO(data)).getexif().get_ifd(0x8769)[0x9286]
    coding = "utf-16-le" if format == "tiff" else "utf-16-be"  # the tool writes the file's order
    assert found == b"UNICODE\0" + "コメント".encode(coding)
    assert warnings == []


@pytest.mark.parametrize("format", sorted(set(HOLDS) - {"heic", "jxl"}))
def test_what_a_format_has_no_place_for_is_named(format: str) -> None:
    everything = Metadata(
        exif=tiff_stream([(0x010E, 2, 6, b"a rock")]),
        xmp=b"<a/>",
        iptc=b"\x1c\2\x50\0\1x",
        comment=b"a comment",
        dpi=(300, 300),
        text=(Text("Source", "pen"),),
    )
    data, warnings = result(everything, format)
    said = " ".join(warnings)
    kept = metadata_of(data, format) if format not in ("raw", "tga", "qoi") else Metadata()
    names = {"exif": "EXIF", "xmp": "XMP", "iptc": "IPTC", "dpi": "resolution"}
    for part, name in names.items():
        assert bool(getattr(kept, part)) != (name in said), part
    assert ("Source" in said) == (format != "png")


def test_nothing_is_lost_or_added_by_going_round_twice() -> None:
    source = of_comfyui(Text("parameters", PARAMETERS, international=True), Text("Author", "me"))
    once = metadata_of(result(source, "png")[0], "png")
    twice = metadata_of(result(once, "png")[0], "png")
    assert source == once == twice
    webp = metadata_of(result(source, "webp")[0], "webp")
    assert metadata_of(result(webp, "webp")[0], "webp") == webp


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "gif", "avif", "tiff", "bmp"])
def test_nothing_is_written_that_is_not_to_be_kept(format: str) -> None:
    secret = "SECRET7"
    exif = Image.Exif()
    exif[0x010E], exif.get_ifd(0x8825)[1] = secret, secret
    metadata = Metadata(
        icc=metadata_of(case("gray-icc.jpg"), "jpeg").icc,
        exif=exif.tobytes().removeprefix(b"Exif\0\0"),
        xmp=f"<a>{secret}</a>".encode(),
        iptc=b"\x1c\2\x50\0\7SECRET7",
        comment=secret.encode(),
        dpi=(321, 321),
        text=(Text("parameters", secret), Text(secret, secret)),
    )
    picture = Picture(gradient(30, 40), None, metadata)
    bare = encode(picture, format, None, keep_metadata=False)
    assert bare == encode(Picture(gradient(30, 40)), format, None, keep_metadata=True)
    assert picture.warnings == (
        ["gif has at most 256 colours; the picture's were reduced"] if format == "gif" else []
    )
    image = Image.open(io.BytesIO(bare))
    assert secret.encode() not in bare
    assert 0x8825 not in image.getexif()
    assert not {"icc_profile", "comment", "xmp", "XML:com.adobe.xmp"} & set(image.info)
    assert image.info.get("dpi", (96, 96))[0] != 321


def _utf_8(value: str) -> str:
    """Pillow reads texts of EXIF as Latin-1, or as UTF-8 in TIFF files."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def test_the_resolution_of_exif_follows_that_of_the_file() -> None:
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 72, 72, 2
    stale = Metadata(exif=exif.tobytes().removeprefix(b"Exif\0\0"), dpi=(300, 150))
    for kind in ("png", "jpeg", "webp"):
        data, _ = result(stale, kind)
        found = Image.open(io.BytesIO(data)).getexif()
        assert (found[0x011A], found[0x011B]) == (300, 150)
    assert np.allclose(Image.open(io.BytesIO(result(stale, "jpeg")[0])).info["dpi"], (300, 150))
