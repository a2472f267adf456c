"""Windows: where the second look looks, what it shows, and how the looks are combined."""

import numpy as np
import pytest
from helpers import small_localizer
from PIL import Image

from skbbox import BoundingBoxGenerator, SingleBoxLocalizer
from skbbox.augmentation import make_views
from skbbox.boxes import COORDINATES
from skbbox.images import load_image, load_parts
from skbbox.windows import SCALE, draw_window, from_window, place_windows, to_window

BOX = np.array([0.4, 0.6, 0.3, 0.4])


def test_a_window_is_twice_the_box_around_its_centre(monkeypatch):
    monkeypatch.setattr("skbbox.windows.SCALE", 2.0)
    assert place_windows(BOX[None]) == pytest.approx(np.array([[0.3, 0.7, 0.25, 0.45]]))


def test_a_window_ends_at_the_border_of_the_image(monkeypatch):
    monkeypatch.setattr("skbbox.windows.SCALE", 2.0)
    windows = place_windows(np.array([[0.0, 0.2, 0.7, 0.9]]))
    assert windows == pytest.approx(np.array([[0.0, 0.3, 0.6, 1.0]]))


@pytest.mark.parametrize("point", [0.0, 0.5, 1.0])
def test_a_box_without_area_has_a_window_with_area(point):
    ((x_min, x_max, y_min, y_max),) = place_windows(np.full((1, 4), point))
    assert x_max - x_min >= 0.025 * SCALE - 1e-12
    assert y_max - y_min >= 0.025 * SCALE - 1e-12


def test_a_box_in_its_window_by_hand():
    # The window starts at 0.3 and 0.2; its sides are 0.4 and 0.5.
    window = np.array([0.3, 0.7, 0.2, 0.7])
    assert to_window(BOX, window) == pytest.approx([0.25, 0.75, 0.2, 0.4])
    assert from_window(np.array([0.25, 0.75, 0.2, 0.4]), window) == pytest.approx(BOX)


def test_a_box_is_cut_off_at_its_window():
    assert to_window(BOX, np.array([0.5, 0.6, 0.0, 1.0])) == pytest.approx([0, 1, 0.3, 0.4])


def test_random_windows_lie_in_the_image_and_show_the_centre_of_the_box():
    rng = np.random.default_rng(0)
    boxes = np.sort(rng.random((200, 2, 2)), axis=2).reshape(200, 4)
    windows = np.array([draw_window(box, rng) for box in boxes])
    centres = (boxes[:, ::2] + boxes[:, 1::2]) / 2
    assert windows.min() >= 0
    assert windows.max() <= 1
    assert (windows[:, ::2] < centres).all()
    assert (windows[:, 1::2] > centres).all()


def test_a_part_has_the_pixels_inside_its_window():
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    (part,) = load_parts(image, (20, 15), [np.array([0.5, 0.75, 0.25, 0.75])])
    assert np.array_equal(part, image[10:30, 30:45])


def test_no_window_gives_the_whole_image():
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    window = np.array([0.5, 0.75, 0.25, 0.75])
    _, whole = load_parts(image, (20, 15), [window, None])
    assert np.array_equal(whole, load_image(image, (20, 15)))


def test_a_part_shows_details_that_the_resized_image_lacks(tmp_path):
    # Stripes of 2 pixels, which are grey in an image of 64 pixels.
    stripes = np.zeros((1024, 1024, 3), np.uint8)
    stripes[:, ::4] = stripes[:, 1::4] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.jpg", quality=95)
    (part,) = load_parts(tmp_path / "stripes.jpg", (64, 64), [np.array([0.5, 0.5625, 0.5, 0.5625])])
    assert part.std() > 100
    assert load_image(tmp_path / "stripes.jpg", (64, 64)).std() < 10


def test_a_window_counts_from_the_corner_of_the_upright_image(tmp_path):
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # Turned clockwise to be upright: the left end becomes the top.
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    top, bottom = load_parts(
        tmp_path / "turned.png", (8, 8), [np.array([0, 1, 0, 0.25]), np.array([0, 1, 0.5, 1])]
    )
    assert top.min() > 200  # Pillow averages over the edge of a window.
    assert bottom.max() == 0


def test_views_of_windows_show_the_box_where_they_say(shapes):
    X, y = shapes
    image, box = X[0], y[list(COORDINATES)].to_numpy()[0]
    filled = np.zeros((320, 320, 3), np.uint8)
    x_min, x_max, y_min, y_max = np.round(box * 320).astype(int)
    filled[y_min:y_max, x_min:x_max] = 255
    view = make_views("flip", 2, 4)[-1]
    window = view.draw_window(box)
    (part,) = load_parts(filled, image.shape[:2], [window])
    shown, inside = view(part, box, window)
    columns = np.flatnonzero(shown[..., 0].max(axis=0) > 127)
    rows = np.flatnonzero(shown[..., 0].max(axis=1) > 127)
    height, width = image.shape[:2]
    found = [columns[0] / width, (columns[-1] + 1) / width]
    found += [rows[0] / height, (rows[-1] + 1) / height]
    assert inside == pytest.approx(found, abs=1.5 / min(height, width))


@pytest.mark.parametrize("frozen", [False, True])
def test_the_second_look_is_a_look_at_the_window_of_the_first(shapes, frozen_backbone, frozen):
    X, y = shapes
    changes = {"backbone": frozen_backbone, "weights": "imagenet"} if frozen else {}
    localizer = small_localizer(**changes, n_looks=2).fit(X, y)
    both, proba = localizer.predict(X[:8]), localizer.predict_proba(X[:8])
    localizer.set_params(n_looks=1)
    first = localizer.predict(X[:8])
    windows = place_windows(first[list(COORDINATES)].to_numpy())
    parts = [load_parts(image, (32, 32), [w])[0] for image, w in zip(X, windows, strict=False)]
    second = localizer.predict(np.array(parts))
    expected = from_window(second[list(COORDINATES)].to_numpy(), windows)
    assert both[list(COORDINATES)].to_numpy() == pytest.approx(expected, abs=1e-3)
    assert both["box_confidence"].to_numpy() == pytest.approx(second["box_confidence"], abs=1e-3)
    mean = (localizer.predict_proba(X[:8]) + localizer.predict_proba(np.array(parts))) / 2
    assert proba == pytest.approx(mean, abs=1e-3)


def test_half_of_the_images_of_a_training_with_two_looks_are_windows(shapes):
    X, y = shapes
    boxes = y.assign(image=list(X))
    generator = BoundingBoxGenerator(
        boxes, *X.shape[1:3], batch_size=len(X), shuffle=False, n_looks=2, random_state=0
    )
    images, (_, targets) = generator[0]
    is_window = (images != X).any(axis=(1, 2, 3))
    assert 0.3 < is_window.mean() < 0.7
    unchanged = y[list(COORDINATES)].to_numpy(np.float32)[~is_window]
    assert np.array_equal(targets[~is_window], unchanged)


@pytest.mark.parametrize("n_looks", [0, 3, 1.5, "2", None])
def test_other_numbers_of_looks_are_refused(shapes, n_looks):
    with pytest.raises(ValueError, match=r"n_looks must be one of \[1, 2\]. Received: "):
        SingleBoxLocalizer(n_looks=n_looks).fit(*shapes)


def test_an_image_is_decoded_once_as_a_whole_and_once_for_all_windows(tmp_path, monkeypatch):
    from skbbox import images

    Image.new("RGB", (40, 40)).save(tmp_path / "image.png")
    decoded = []
    decode = images._decode_pixels
    monkeypatch.setattr(
        images, "_decode_pixels", lambda *args: decoded.append(args) or decode(*args)
    )
    window = np.array([0.0, 0.5, 0.0, 0.5])
    assert len(load_parts(tmp_path / "image.png", (8, 8), [None, window, None, window])) == 4
    assert len(decoded) == 2
