import numpy as np
import pytest
from PIL import Image
from rembg import bg
from scipy.ndimage import binary_erosion

from pictures import gradient, off
from sakuga_core.options import RembgOptions
from sakuga_server.matting import mask as masks


def blob(height: int, width: int) -> np.ndarray:
    """A prediction of a round figure with a soft edge: float32."""
    y, x = np.mgrid[0:height, 0:width]
    distance = np.hypot(y - height / 2, x - width / 2) / (min(height, width) / 2)
    return np.clip((0.8 - distance) * 6, 0, 0.997).astype(np.float32)


@pytest.mark.parametrize("size", [(300, 200), (1, 1), (64, 64), (5, 90)])
def test_a_mask_is_stretched_and_resized_as_rembg_does(size: tuple[int, int]) -> None:
    prediction = blob(64, 64) * 0.7 + 0.1
    low, high = np.min(prediction), np.max(prediction)
    levels = ((prediction - low) / (high - low) * 255).astype("uint8")
    expected = np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.LANCZOS))
    assert off(masks.read(prediction, masks.whole(64), *size, letterbox=False), expected) == 0


@pytest.mark.parametrize("value", [0.0, 0.02, 1.0, np.nan])
def test_a_constant_prediction_is_no_figure(value: float) -> None:
    flat = np.full((64, 64), value, np.float32)
    assert masks.read(flat, masks.whole(64), 30, 20, letterbox=False) is None


def test_a_faint_prediction_is_no_figure() -> None:
    assert masks.read(blob(64, 64) * 0.05, masks.whole(64), 30, 20, letterbox=False) is None


@pytest.mark.parametrize(
    ("width", "height", "window"),
    [
        (200, 100, (256, 0, 512, 1024)),
        (100, 200, (0, 256, 1024, 512)),
        (70, 70, (0, 0, 1024, 1024)),
        (5000, 1, (511, 0, 1, 1024)),
    ],
)
def test_the_letterbox_keeps_the_shape(width: int, height: int, window: tuple[int, ...]) -> None:
    assert masks.letterbox(1024, width, height) == window


def test_letterboxed_pictures_lie_over_black_and_come_back_in_place() -> None:
    window = masks.letterbox(64, 40, 20)
    image = masks.square(np.full((20, 40, 3), 200, np.uint8), 64, window)
    assert image.shape == (1, 64, 64, 3)
    assert set(np.unique(image[0, :16])) == {0}
    assert set(np.unique(image[0, 16:48])) == {200}
    prediction = np.zeros((64, 64), np.float32)
    prediction[16:48, 32:] = 1  # the right half of the picture
    mask = masks.read(prediction, window, 40, 20, letterbox=True)
    assert mask is not None
    assert (mask[:, :18] == 0).all()
    assert (mask[:, 22:] == 255).all()


def test_a_stretched_picture_is_what_rembg_gives_the_network() -> None:
    picture = gradient(33, 57)
    expected = Image.fromarray(picture).resize((32, 32), Image.Resampling.LANCZOS)
    assert off(masks.square(picture, 32, masks.whole(32))[0], np.asarray(expected)) == 0


def test_post_processing_is_rembgs() -> None:
    rng = np.random.default_rng(1)
    mask = np.where(rng.random((90, 70)) < 0.02, 255, blob(90, 70) * 255).astype(np.uint8)
    assert off(masks.post_process(mask), bg.post_process(mask)) == 0


@pytest.mark.parametrize("size", [0, 1, 2, 9, 10])
def test_the_trimap_is_rembgs(size: int) -> None:
    mask = np.rint(blob(80, 110) * 255).astype(np.uint8)
    mask[:, :20] = 255  # certain up to the border, where erosion has to decide
    structure = np.ones((size, size)) if size else None
    expected = np.full(mask.shape, masks.UNKNOWN, np.uint8)
    expected[binary_erosion(mask > 240, structure)] = masks.FOREGROUND
    expected[binary_erosion(mask < 10, structure, border_value=1)] = masks.BACKGROUND
    options = RembgOptions(alpha_matting_erode_size=size, reference_thresholds=True)
    assert off(masks.trimap(mask, options), expected) == 0


def test_no_erosion_means_none() -> None:
    mask = np.rint(blob(80, 110) * 255).astype(np.uint8)
    parts = masks.trimap(mask, RembgOptions(alpha_matting_erode_size=0))
    assert ((parts == masks.FOREGROUND) == (mask > 240)).all()
    assert ((parts == masks.BACKGROUND) == (mask < 10)).all()


@pytest.mark.parametrize("over", [255, 270, 300])
def test_thresholds_over_any_mask_mean_fully_certain(over: int) -> None:
    mask = np.arange(256, dtype=np.uint8).repeat(4).reshape(32, 32)
    options = RembgOptions(alpha_matting_foreground_threshold=over, alpha_matting_erode_size=0)
    assert ((masks.trimap(mask, options) == masks.FOREGROUND) == (mask >= 254)).all()
    reference = options.model_copy(update={"reference_thresholds": True})
    assert not (masks.trimap(mask, reference) == masks.FOREGROUND).any()
