"""Every format that results can have, read by programs that are not the server's."""

import io
import weakref
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from metadata_for_tests import plugin
from pictures import gradient, off, sample
from sakuga import TooLarge
from sakuga_core.config.server import Limits
from sakuga_core.formats import FORMATS, FileFormat
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.encode import PagesWriter, check_size, encode
from sakuga_server.imaging.metadata import Metadata, Text
from sakuga_server.imaging.picture import Picture

RANDOM = np.random.default_rng(5)
KINDS = [(gray, alpha) for gray in (False, True) for alpha in (False, True)]


def noise(gray: bool, alpha: bool, dtype: type = np.uint8) -> Picture:
    """31x23; pixels of every value, which no lossy step leaves alone."""
    pixels = RANDOM.integers(0, np.iinfo(dtype).max, (31, 23, 4), dtype, endpoint=True)
    colour = pixels[..., 0] if gray else pixels[..., :3]
    return Picture(np.ascontiguousarray(colour), pixels[..., 3].copy() if alpha else None)


def read(data: bytes, alpha: bool) -> np.ndarray:
    """(H, W, 3), or (H, W, 4) with alpha, by Pillow."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA" if alpha else "RGB"))


def layers(picture: Picture) -> np.ndarray:
    colour = picture.colour if picture.colour.ndim == 3 else np.dstack([picture.colour] * 3)
    return colour if picture.alpha is None else np.dstack([colour, picture.alpha])


@pytest.mark.parametrize(("gray", "alpha"), KINDS)
@pytest.mark.parametrize("format", ["bmp", "tga", "qoi", "webp", "heic", "jxl"])
def test_a_lossless_format_keeps_every_pixel(
    small_strips: None, format: str, gray: bool, alpha: bool
) -> None:
    plugin(format)
    source = noise(gray, alpha)
    lossless = True if format == "heic" else None
    data = encode(source, format, None, True, lossless)
    assert off(read(data, alpha), layers(source)) == 0
    assert source.warnings == []


@pytest.mark.parametrize(("gray", "alpha"), KINDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_keeps_every_bit(small_strips: None, dtype: type, gray: bool, alpha: bool) -> None:
    source = noise(gray, alpha, dtype)
    data = encode(source, "tiff", None, True)
    planes = [source.colour, source.alpha] if alpha else [source.colour]
    expected = np.dstack(planes) if len(planes) > 1 else planes[0]
    assert off(tifffile.imread(io.BytesIO(data)), expected) == 0
    if dtype == np.uint8:  # Pillow reads no more of RGB
        assert off(read(data, alpha), layers(source)) == 0
    elif not alpha:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert off(found if gray else cv2.cvtColor(found, cv2.COLOR_BGR2RGB), expected) == 0
    assert source.warnings == []


def test_pages_are_taken_one_at_a_time_and_stay_apart(small_strips: None) -> None:
    alive: list[weakref.ref[Picture]] = []
    pages = [noise(False, False), noise(True, True, np.uint16), noise(True, False)]

    def one_by_one() -> Iterator[Picture]:
        for n, page in enumerate(pages):
            assert sum(ref() is not None for ref in alive[:-1]) == 0
            about = Metadata(
                xmp=f"<page{n}/>".encode(), dpi=(100 + n, 100), text=(Text("Source", "pen"),)
            )
            picture = Picture(page.colour, page.alpha, about)
            alive.append(weakref.ref(picture))
            yield picture
            del picture

    writer = PagesWriter(keep_metadata=True)
    for picture in one_by_one():
        writer.add(picture)
        del picture
    data = writer.finish()
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert len(file.pages) == 3
        assert off(file.pages[0].asarray(), pages[0].colour) == 0
        assert off(file.pages[1].asarray(), np.dstack([pages[1].colour, pages[1].alpha])) == 0
        assert off(file.pages[2].asarray(), pages[2].colour) == 0
        assert [p.tags["XMP"].value for p in file.pages] == [b"<page0/>", b"<page1/>", b"<page2/>"]
        assert [p.tags["XResolution"].value[0] for p in file.pages] == [100, 101, 102]
    assert writer.warnings == ["tiff can't store PNG text 'Source'; dropped"]


def test_a_gif_of_few_colours_is_exact(small_strips: None) -> None:
    palette = RANDOM.integers(0, 256, (255, 3), np.uint8)
    colour = palette[RANDOM.integers(0, 255, (40, 50))]
    alpha = np.where(RANDOM.random((40, 50)) < 0.3, np.uint8(0), np.uint8(255))
    source = Picture(colour, alpha)
    found = read(encode(source, "gif", None, True), alpha=True)
    assert off(found[..., 3], alpha) == 0
    assert off(found[alpha > 0], layers(source)[alpha > 0]) == 0
    assert source.warnings == []


def test_a_gif_says_what_it_makes_of_many_colours_and_of_soft_edges() -> None:
    colour = sample("sunset")[:200, :300, :3]
    alpha = np.zeros(colour.shape[:2], np.uint8)
    alpha[50:, 50:], alpha[:, 250:] = 255, 100
    source = Picture(np.ascontiguousarray(colour), alpha)
    found = read(encode(source, "gif", None, True), alpha=True)
    assert off(found[..., 3], np.where(alpha >= 128, np.uint8(255), np.uint8(0))) == 0
    shown = alpha >= 128
    blurred = [cv2.GaussianBlur(p, (0, 0), 4)[60:190, 60:240] for p in (found[..., :3], colour)]
    assert np.abs(blurred[0].astype(int) - blurred[1]).mean() < 3  # dithered around its colours
    assert len(np.unique(found[shown][:, :3], axis=0)) <= 255
    assert [w.split()[0:2] for w in source.warnings] == [["gif", "has"]] * 2


def test_a_gif_may_be_wholly_transparent() -> None:
    source = Picture(noise(False, False).colour, np.zeros((31, 23), np.uint8))
    assert read(encode(source, "gif", None, True), alpha=True)[..., 3].max() == 0


@pytest.mark.parametrize("gray", [False, True])
def test_avif_without_a_quality_is_nearly_exact(gray: bool) -> None:
    source = noise(gray, alpha=True)
    found = read(encode(source, "avif", None, True), alpha=True)
    assert off(found, layers(source)) <= (0 if gray else 3)
    assert source.warnings == []
    encode(source, "avif", None, True, lossless=True)
    assert len(source.warnings) == (0 if gray else 1)


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif", "heic", "jxl"])
def test_a_lower_quality_is_smaller(format: str) -> None:
    plugin(format)
    pixels = sample("sunset")[:128, :128, :3].copy()
    sizes = [len(encode(Picture(pixels), format, quality, True)) for quality in (20, 60, 95)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2] / 2


@pytest.mark.parametrize("format", ["webp", "avif", "heic", "jxl"])
def test_lossless_is_what_it_says_whatever_the_quality(format: str) -> None:
    plugin(format)
    source = noise(True, alpha=False)
    best = encode(source, format, 50, True, lossless=True)
    assert off(read(best, alpha=False), layers(source)) == 0
    assert source.warnings == [f"the {format} is lossless; quality was ignored"]
    assert len(encode(source, format, None, True, lossless=False)) < len(best)


@pytest.mark.parametrize("row", [row for row in FORMATS if row.writes and not row.lossy])
def test_a_quality_that_a_format_does_not_have_is_said(row: FileFormat) -> None:
    name = row.name
    source = Picture(gradient(4, 4))
    encode(source, name, 80, True, lossless=False)
    assert source.warnings[0] == f"{name} takes no quality and lossless; it was ignored"


def test_jpeg_says_that_it_cannot_be_lossless() -> None:
    source = Picture(gradient(4, 4))
    encode(source, "jpeg", None, True, lossless=True)
    assert source.warnings == ["jpeg can't be lossless; webp and png can"]


@pytest.mark.parametrize("row", [row for row in FORMATS if row.writes and row.longest_side])
def test_a_side_that_a_format_cannot_hold_is_told_before_the_work(row: FileFormat) -> None:
    name, most = row.name, row.longest_side
    plugin(name)
    check_size(name, most, most)
    expected = f"the result is {most + 1} pixels long; {name} allows {most}, png more"
    with pytest.raises(TooLarge, match=expected):
        check_size(name, 1, most + 1)
    with pytest.raises(TooLarge, match=expected):
        check_size(name, most + 1, 1)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
@pytest.mark.parametrize("row", [row for row in FORMATS if row.writes])
def test_the_smallest_pictures_are_written(row: FileFormat, size: tuple[int, int]) -> None:
    name = row.name
    plugin(name)
    pixels = np.full((*size, 3), 200, np.uint8)
    found = read(encode(Picture(pixels), name, None, True), alpha=False)
    assert off(found, pixels) <= 2


@pytest.mark.parametrize("gray", [False, True])
def test_a_jpeg_is_as_long_as_its_format_allows(gray: bool) -> None:
    pixels = noise(gray, False).colour[:2, :1]
    source = Picture(np.repeat(pixels, 65535, axis=1), metadata=Metadata(comment=b"long"))
    data = encode(source, "jpeg", 95, keep_metadata=True)
    found = decode(data, Limits())
    assert (found.height, found.width) == (2, 65535)
    assert found.metadata.comment == b"long"
    assert np.abs(found.colour.astype(int) - source.colour).max() < 20
    longer = Picture(np.repeat(pixels, 65536, axis=1))
    with pytest.raises(TooLarge, match="65536 pixels long; jpeg allows 65535"):
        encode(longer, "jpeg", 95, keep_metadata=True)
