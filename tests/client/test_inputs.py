"""Pictures of every kind: what is sent, by OpenCV and Pillow, and what comes back."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from pictures import encoded, gradient, pixels_of
from sakuga import BadImage, BadInput, BadOption, Reply, TooLarge
from sakuga.inputs import input_of

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATION, DESCRIPTION, DETAILS, WIDTH = 0x0112, 0x010E, 0x8769, 0xA002


def raw(pixels: np.ndarray) -> Reply:
    """A server's answer of `format: raw`."""
    height, width = pixels.shape[:2]
    shape = [1, height, width, pixels.shape[2] if pixels.ndim == 3 else 1]
    report = {"output": {"shape": shape, "dtype": str(pixels.dtype)}}
    return Reply(pixels.astype(pixels.dtype.newbyteorder("<")).tobytes(), report)


def shaped(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    generator = np.random.default_rng(len(shape) + sum(shape))
    return generator.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


SHAPES = [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4), (1, 1), (1, 9, 3), (300, 200, 3)]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_array_is_sent_without_loss(shape: tuple[int, ...], dtype: str) -> None:
    pixels = shaped(shape, dtype)
    sent = input_of(pixels, {})
    found = cv2.imdecode(np.frombuffer(sent.data, np.uint8), cv2.IMREAD_UNCHANGED)
    channels = shape[2] if len(shape) == 3 else 1
    expected = pixels.reshape(*shape[:2], channels)
    if channels == 2:  # which OpenCV gives as gray thrice, and alpha
        expected = expected[..., [0, 0, 0, 1]]
    elif channels > 2:
        expected = expected[..., [2, 1, 0, 3][:channels]]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    assert sent.options == {"format": "raw"}


@pytest.mark.parametrize(
    "view",
    [
        lambda pixels: pixels[::2, ::-1],
        lambda pixels: np.asfortranarray(pixels),
        lambda pixels: pixels.astype(">u2"),
        lambda pixels: pixels[..., ::-1],
    ],
)
def test_any_memory_layout_is_sent_as_it_looks(view: Any) -> None:
    pixels = view(shaped((6, 8, 3), "uint16"))
    native = np.array(pixels, np.uint16)
    np.testing.assert_array_equal(pixels_of(input_of(pixels, {}).data), native)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(
    ("shape", "result", "expected"),
    [
        ((5, 7), (10, 14, 1), (10, 14)),
        ((5, 7, 1), (10, 14, 1), (10, 14, 1)),
        ((5, 7, 3), (10, 14, 3), (10, 14, 3)),
        ((5, 7), (5, 7, 2), (5, 7, 2)),  # what removing a background adds
        ((5, 7, 3), (5, 7, 4), (5, 7, 4)),
        ((5, 7, 3), (5, 7, 1), (5, 7, 1)),  # a mask
    ],
)
def test_an_array_comes_back_with_the_axes_it_had(
    shape: tuple[int, ...], result: tuple[int, ...], expected: tuple[int, ...], dtype: str
) -> None:
    pixels = shaped(result, dtype)
    found = input_of(shaped(shape, dtype), {}).result_of(raw(pixels))
    assert (found.shape, found.dtype) == (expected, dtype)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found.reshape(result), pixels)
    found[:] = 0  # it can be changed


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((4, 4), np.float32), "dtype float32; allowed: uint8, uint16"),
        (np.zeros((4, 4), bool), "dtype bool"),
        (np.zeros((4, 4), object), "dtype object"),
        (np.zeros(4, np.uint8), r"shape \(4,\); allowed: \(height, width\)"),
        (np.zeros((4, 4, 5), np.uint8), r"shape \(4, 4, 5\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"shape \(1, 4, 4, 3\)"),
        (np.zeros((0, 4), np.uint8), r"shape \(0, 4\)"),
        (np.zeros((4, 4, 0), np.uint8), r"shape \(4, 4, 0\)"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(pixels: np.ndarray, message: str) -> None:
    with pytest.raises(BadImage, match=message):
        input_of(pixels, {})


def test_an_array_that_no_message_can_carry_is_refused_before_it_is_compressed() -> None:
    endless = np.broadcast_to(np.uint8(0), (50_000, 50_000))
    with pytest.raises(TooLarge, match="2500000000 bytes"):
        input_of(endless, {})


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]


def drawn(mode: str) -> Image.Image:
    pixels = shaped((9, 13, 4), "uint8")
    if mode == "I;16":
        return Image.fromarray(shaped((9, 13), "uint16"))
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("mode", MODES)
def test_an_image_of_pillow_is_sent_without_loss(mode: str) -> None:
    image = drawn(mode)
    found = Image.open(io.BytesIO(input_of(image, {}).data))
    assert found.size == image.size
    if mode == "I;16":
        np.testing.assert_array_equal(np.asarray(found), np.asarray(image))
    else:
        assert found.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


def test_an_image_in_cmyk_is_sent_without_loss() -> None:
    image = Image.merge("CMYK", [drawn("L").rotate(90 * i, expand=False) for i in range(4)])
    found = Image.open(io.BytesIO(input_of(image, {}).data))
    assert found.mode == "CMYK"
    assert found.tobytes() == image.tobytes()


@pytest.mark.parametrize("transparency", [7, bytes([0, 128, 255])])
def test_a_palettes_transparency_goes_along(transparency: object) -> None:
    image = drawn("RGB").convert("P")
    image.info["transparency"] = transparency
    found = Image.open(io.BytesIO(input_of(image, {}).data)).convert("RGBA")
    assert found.tobytes() == image.convert("RGBA").tobytes()


@pytest.mark.parametrize(
    ("result", "mode"),
    [
        (shaped((4, 6, 1), "uint8"), "L"),
        (shaped((4, 6, 2), "uint8"), "LA"),
        (shaped((4, 6, 3), "uint8"), "RGB"),
        (shaped((4, 6, 4), "uint8"), "RGBA"),
        (shaped((4, 6, 1), "uint16"), "I;16"),
    ],
)
def test_a_result_is_an_image_of_the_mode_that_fits(result: np.ndarray, mode: str) -> None:
    image = input_of(drawn("RGB"), {}).result_of(raw(result))
    assert isinstance(image, Image.Image)
    assert (image.mode, image.size) == (mode, (6, 4))
    np.testing.assert_array_equal(np.asarray(image).reshape(result.shape), result)


def test_a_result_of_16_bits_that_pillow_has_no_mode_for_is_rounded_to_8() -> None:
    result = np.array([[[0, 65535], [128, 129], [257 * 99, 257 * 99 + 128]]], np.uint16)
    image = input_of(drawn("I;16"), {}).result_of(raw(result))
    assert image.mode == "LA"
    np.testing.assert_array_equal(np.asarray(image)[0], [[0, 255], [0, 1], [99, 99]])


def described() -> Image.Image:
    """A JPEG on its side, with all that a camera says."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[DESCRIPTION] = 6, "a heroine"
    exif.get_ifd(DETAILS)[WIDTH] = 13
    data = encoded(gradient(9, 13), "JPEG", exif=exif, icc_profile=SRGB, dpi=(300, 300))
    return Image.open(io.BytesIO(data))


def test_metadata_goes_along_and_is_true_of_the_result() -> None:
    sent = input_of(described(), {})
    found = Image.open(io.BytesIO(sent.data))
    assert found.getexif()[ORIENTATION] == 6
    assert found.info["icc_profile"] == SRGB
    assert round(found.info["dpi"][0]) == 300
    image = sent.result_of(raw(shaped((26, 18, 3), "uint8")))
    exif = image.getexif()
    assert (exif[ORIENTATION], exif[DESCRIPTION]) == (1, "a heroine")
    assert exif.get_ifd(DETAILS)[WIDTH] == 18
    assert image.info["icc_profile"] == SRGB
    assert image.info["dpi"][0] == 300


def test_the_callers_image_keeps_its_own_metadata() -> None:
    image = described()
    input_of(image, {}).result_of(raw(shaped((26, 18, 3), "uint8")))
    assert image.getexif()[ORIENTATION] == 6
    assert image.getexif().get_ifd(DETAILS)[WIDTH] == 13


def test_a_colour_profile_isnt_put_on_a_result_in_gray() -> None:
    assert (
        "icc_profile"
        not in input_of(described(), {}).result_of(raw(shaped((2, 2, 1), "uint8"))).info
    )


@pytest.mark.parametrize(
    "damage",
    [
        {"icc_profile": "text"},
        {"transparency": "none"},
        {"dpi": ("far", "near")},
        {"dpi": (float("nan"), 1)},
        {"exif": b"Exif\0\0II*\0\xff\xff\xff\xff"},
        {"dpi": (TiffImagePlugin.IFDRational(1, 0), 1)},
    ],
    ids=str,
)
def test_damaged_metadata_never_costs_the_pixels(damage: dict[str, object]) -> None:
    image = drawn("RGB")
    image.info |= damage
    sent = input_of(image, {})
    assert pixels_of(sent.data).tobytes() == image.tobytes()
    assert sent.result_of(raw(shaped((2, 2, 3), "uint8"))).size == (2, 2)


@pytest.mark.parametrize("mode", ["F", "I", "HSV", "LAB", "YCbCr", "RGBX", "La"])
def test_an_image_of_another_mode_is_refused(mode: str) -> None:
    with pytest.raises(BadImage, match=f"mode {mode}; allowed: 1, L, LA, P, RGB, RGBA, I;16, CMYK"):
        input_of(Image.new(mode, (3, 3)), {})


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(BadImage, match="0x4 pixels"):
        input_of(Image.new("RGB", (0, 4)), {})


def test_an_image_whose_file_is_cut_off_is_refused() -> None:
    cut = encoded(shaped((90, 90, 3), "uint8"))[:4000]
    with pytest.raises(BadImage, match="can't be read"):
        input_of(Image.open(io.BytesIO(cut)), {})


def test_of_an_animation_the_current_frame_is_sent() -> None:
    file = io.BytesIO()
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    first, *others = (Image.new("RGB", (4, 4), colour) for colour in colours)
    first.save(file, "GIF", save_all=True, append_images=others)
    animation = Image.open(file)
    animation.seek(1)
    sent = Image.open(io.BytesIO(input_of(animation, {}).data))
    assert getattr(sent, "n_frames", 1) == 1
    assert sent.convert("RGB").getpixel((0, 0)) == animation.convert("RGB").getpixel((0, 0))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_files_bytes_go_as_they_are_and_bytes_come_back(kind: type) -> None:
    sent = input_of(kind(b"a file"), {"scale": 2})
    assert (sent.data, sent.options) == (b"a file", {"scale": 2})
    assert type(sent.data) is bytes
    assert sent.result_of(Reply(b"a result", {})) == b"a result"


@pytest.mark.parametrize("kind", [str, Path])
def test_of_a_path_the_file_goes_and_the_whole_reply_comes_back(kind: type, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a file")
    sent = input_of(kind(tmp_path / "a.png"), {})
    reply = Reply(b"a result", {"model": "net"})
    assert sent.data == b"a file"
    assert sent.result_of(reply) is reply


@pytest.mark.parametrize("path", ["nothing.png", "folder", "nul\0l.png"])
def test_a_file_that_cant_be_read_is_named(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadInput, match=r"can't be read \(") as caught:
        input_of(tmp_path / path, {})
    assert path in str(caught.value)


@pytest.mark.parametrize(
    ("picture", "name"), [(None, "None"), (7, "int"), ([1, 2], "list"), (io.BytesIO(), "BytesIO")]
)
def test_any_other_kind_is_a_type_error_that_lists_what_is_allowed(
    picture: object, name: str
) -> None:
    with pytest.raises(TypeError, match=f"the image is {name}; allowed: bytes") as caught:
        input_of(picture, {})
    for kind in ("Path", "NumPy array", "Pillow"):
        assert kind in str(caught.value)


@pytest.mark.parametrize("picture", [gradient(4, 4), Image.new("RGB", (4, 4))])
@pytest.mark.parametrize("format", [None, "raw"])
def test_pixels_are_asked_for_where_pixels_were_given(picture: Any, format: str | None) -> None:
    assert input_of(picture, {"format": format, "scale": 2}).options == {
        "format": "raw",
        "scale": 2,
    }
    with pytest.raises(BadOption, match=r"'format' is 'webp'; allowed with an (array|image): none"):
        input_of(picture, {"format": "webp"})


def test_a_mask_may_be_of_any_kind(tmp_path: Path) -> None:
    mask = np.zeros((6, 8), bool)
    mask[2:4, 3:] = True
    levels = np.where(mask, 255, 0).astype(np.uint8)
    (tmp_path / "mask.png").write_bytes(encoded(levels))
    for kind in (mask, levels, Image.fromarray(levels), tmp_path / "mask.png", encoded(levels)):
        options = input_of(b"a file", {"mask": kind}).options
        np.testing.assert_array_equal(pixels_of(options["mask"]), levels)
    assert input_of(b"a file", {"mask": None}).options == {"mask": None}
