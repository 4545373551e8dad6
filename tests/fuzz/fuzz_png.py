"""PNG files that are written: any samples, and any metadata, come back as they were."""

import io

import imagecodecs
import numpy as np
from PIL import Image

import fuzzing
from sakuga_core.config.server import Limits
from sakuga_server.imaging import metadata, png
from sakuga_server.imaging.decode import decode
from sakuga_server.imaging.metadata import Color, Metadata, Text
from sakuga_server.imaging.picture import Picture
from sakuga_server.imaging.samples import samples

SIDE = 40  # pixels of a side, at most
LIMITS = Limits()


def check(data: bytes) -> None:
    choices = fuzzing.Choices(data)
    about = _metadata(choices)
    picture = _picture(choices)
    file = png.encoded(picture, metadata.png_chunks(about))
    values = samples(picture, slice(0, picture.height))
    assert np.array_equal(imagecodecs.png_decode(file).reshape(values.shape), values)
    with Image.open(io.BytesIO(file)) as other:
        other.verify()  # each checksum
    _check_same(decode(file, LIMITS), picture, about)


def _check_same(found: Picture, picture: Picture, about: Metadata) -> None:
    assert not found.warnings
    assert np.array_equal(found.colour, picture.colour)
    assert (found.alpha is None) == (picture.alpha is None)
    assert picture.alpha is None or np.array_equal(found.alpha, picture.alpha)
    assert found.metadata.text == about.text
    assert found.metadata.color == about.color


def _picture(choices: fuzzing.Choices) -> Picture:
    """Any size, depth and channels; bytes that are left are its samples, over and over."""
    height, width = (1 + choices.number(SIDE - 1) for _ in range(2))
    kind = np.uint16 if choices.flag() else np.uint8
    colours, alpha = (3 if choices.flag() else 1), choices.flag()
    shape = height, width, colours + alpha
    pattern = np.frombuffer(choices.rest() or b"\0", np.uint8)
    values = np.resize(pattern, np.prod(shape) * np.dtype(kind).itemsize).view(kind).reshape(shape)
    colour = values[..., 0] if colours == 1 else values[..., :3]
    opacity = np.ascontiguousarray(values[..., -1]) if alpha else None
    return Picture(np.ascontiguousarray(colour), opacity)


def _metadata(choices: fuzzing.Choices) -> Metadata:
    text = tuple(_text(choices) for _ in range(choices.number(4)))
    return Metadata(text=text, color=_color(choices) if choices.flag() else None)


def _text(choices: fuzzing.Choices) -> Text:
    keyword = "k" + _latin(choices, 70)
    if not choices.flag():
        return Text(keyword, _latin(choices, 90), deflated=choices.flag())
    words = [choices.taken(choices.number(60)).decode("utf-8", "ignore") for _ in range(2)]
    text, translated = words[0], words[1].replace("\0", "")
    return Text(keyword, text, _latin(choices, 9), translated, True, choices.flag())


def _latin(choices: fuzzing.Choices, most: int) -> str:
    return choices.taken(choices.number(most)).replace(b"\0", b"").decode("latin-1")


def _color(choices: fuzzing.Choices) -> Color:
    return Color(
        gamma=1_000 + choices.number(999_000),
        srgb=choices.number(3),
        light=choices.taken(8).ljust(8, b"\0"),
        mastering=choices.taken(24).ljust(24, b"\0"),
    )


def seeds() -> list[bytes]:
    return [bytes((at * number + at // 7) % 256 for at in range(300)) for number in range(1, 20)]


TARGET = fuzzing.Target("png", check, seeds, ("sakuga_server.imaging",))

if __name__ == "__main__":
    fuzzing.main(TARGET)
