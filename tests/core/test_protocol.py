import string
from urllib.parse import quote

import pytest

from sakuga import BadOption
from sakuga_core import errors, protocol
from sakuga_core.errors import LONGEST, from_message
from sakuga_core.options import (
    FixArtifactsOptions,
    Region,
    UpscaleOptions,
    overridden,
    parse_options,
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 70}, "option 'scale' is 70; allowed: a number from 1 to 16"),
        ({"scale": "wide"}, "option 'scale' is 'wide'; allowed: a number from 1 to 16"),
        ({"scale": float("nan")}, "option 'scale' is nan; allowed: a number from 1 to 16"),
        (
            {"scale": 0.5},
            "option 'scale' is 0.5; allowed: a number from 1 to 16; to make a picture ",
        ),
        ({"scale": True}, "option 'scale' is True; allowed: a number"),
        ({"tile_size": False}, "option 'tile_size' is False; allowed: a whole number"),
        ({"scale": 2, "width": 9}, "options 'scale' and 'width' are set; allowed: one of them, or"),
        ({"format": "psd"}, "option 'format' is 'psd'; allowed: auto, png, jpeg, webp"),
        ({"tile_size": 1.5}, "option 'tile_size' is 1.5; allowed: a whole number from 32 to 2048"),
        ({"denoise": 2}, "option 'denoise' is 2; allowed: a number from 0 to 1"),
        ({"keep_metadata": "so"}, "option 'keep_metadata' is 'so'; allowed: true or false"),
        ({"sclae": 2}, "option 'sclae' is unknown; allowed: model, format, quality,"),
    ],
)
def test_a_bad_option_is_named_with_what_is_allowed(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(BadOption) as caught:
        parse_options(UpscaleOptions, options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regions": [[1, 2, 0, 4]]}, "option 'regions.0.box.2' is 0; allowed: a list of [x, y,"),
        ({"regions": [{"box": [0, 0, 9, 9], "grid": [8, 0]}]}, "option 'regions.0.grid.0' is 8;"),
        ({"regions": [{"box": [0, 0, 9, 9], "grid": [0, -1]}]}, "option 'regions.0.grid.1' is -1;"),
        ({"regions": 7}, "option 'regions' is 7; allowed: a list of [x, y, width, height]"),
        ({"mask": "#" * 999}, "option 'mask' is '###"),
        ({"detector": "hands"}, "option 'detector' is 'hands'; allowed: auto, jpeg, banding,"),
        ({"inpaint": 1}, "option 'inpaint' is 1; allowed: auto, migan, lama-anime, opencv, none"),
    ],
)
def test_a_bad_option_of_fix_artifacts_is_named_and_shortened(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(BadOption) as caught:
        parse_options(FixArtifactsOptions, options)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["jpg", "JPEG", "Jpg"])
def test_formats_have_the_names_that_people_use(name: str) -> None:
    assert parse_options(UpscaleOptions, {"format": name}).format == "jpeg"


def test_a_size_of_a_later_level_replaces_one_of_another_kind() -> None:
    first, second = {"scale": 2, "tile_size": 64}, {"max_side": 900}
    assert overridden(first, second) == {"tile_size": 64, "max_side": 900}
    assert overridden(second, first) == {"tile_size": 64, "scale": 2}
    assert overridden(first, {"tile_size": 32}) == {"scale": 2, "tile_size": 32}


def test_regions_are_boxes_or_more_and_survive_json() -> None:
    regions = [
        [1, 2, 3, 4],
        {"kind": "jpeg", "box": [0, 0, 8, 8], "quality": 30},
        Region(box=(5, 6, 7, 8)),
    ]
    first = parse_options(FixArtifactsOptions, {"regions": regions, "mask": b"\0\xff"})
    again = parse_options(FixArtifactsOptions, first.model_dump(mode="json"))
    assert again == first
    assert again.mask == b"\0\xff"
    assert [r.kind for r in again.regions or []] == ["user", "jpeg", "user"]


def test_denoise_is_an_alias() -> None:
    assert parse_options(UpscaleOptions, {"denoise": 0.3}).denoise_strength == 0.3


def test_folders_are_names_with_underscores() -> None:
    assert protocol.folder("realesr-animevideov3") == "realesr_animevideov3"
    assert protocol.folder("realesrgan-anime-6b") == "realesrgan_x4plus_anime"


def test_different_strengths_have_different_lengths() -> None:
    lengths = [protocol.denoise_length(step / 1000) for step in range(1001)]
    assert lengths == list(range(1, 1002))


@pytest.mark.parametrize("kind", [errors.BadImage, errors.TooLarge, errors.Overloaded])
def test_an_error_survives_the_wire(kind: type[errors.SakugaError]) -> None:
    text = "in ensemble 'rembg_isnet_anime', " + kind("too bad: it's 7").to_message()
    found = errors.from_message(text)
    assert type(found) is kind
    assert str(found) == "too bad: it's 7"


def test_other_texts_are_no_error_of_sakuga() -> None:
    assert errors.from_message("Failed: something else") is None


def test_the_drawn_tree_is_the_tree() -> None:
    drawn = errors.__doc__ or ""
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.SakugaError):
            assert error.__name__ in drawn


@pytest.mark.parametrize("letter", ["x", "é", "漢", "%"])
def test_a_message_is_shortened_to_what_grpc_carries(letter: str) -> None:
    short, long = BadOption(letter * 300), BadOption(letter * 20_000)
    assert short.to_message() == f"BadOption: {short}"
    message = long.to_message()
    assert message.startswith(f"BadOption: {letter * 200}")
    assert message.endswith(letter * 200)
    assert LONGEST - 40 < len(quote(message, safe=string.printable.replace("%", ""))) <= LONGEST
    assert isinstance(from_message(message), BadOption)
