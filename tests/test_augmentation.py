"""Augmentation: the changed box still fits the object."""

import numpy as np
import pytest

from skbbox.augmentation import _rotate_box, flip, get_augmentation, make_views, mirror, standard

SIDE = 120
BLUE, RED = (40, 60, 200), (200, 30, 30)


def draw_rectangle(box):
    """Draw a red rectangle on blue; the box in pixels, half-open."""
    x_min, x_max, y_min, y_max = box
    image = np.full((SIDE, SIDE, 3), BLUE, dtype=np.uint8)
    image[y_min:y_max, x_min:x_max] = RED
    return image, np.array(box) / SIDE


def find_object(image):
    """Find the box of pixels with more red than blue; brightness and contrast keep that order."""
    red = image[..., 0].astype(int) > image[..., 2]
    columns, rows = np.flatnonzero(red.any(axis=0)), np.flatnonzero(red.any(axis=1))
    return np.array([columns[0], columns[-1] + 1, rows[0], rows[-1] + 1]) / SIDE


@pytest.mark.parametrize("name", ["flip", "standard"])
def test_box_fits_the_pixels_of_the_object(name):
    rng = np.random.default_rng(0)
    augment = get_augmentation(name)
    for _ in range(1000):
        low = rng.integers(5, 70, size=2)
        high = low + rng.integers(15, 45, size=2)
        image, box = draw_rectangle([low[0], high[0], low[1], high[1]])
        changed, changed_box = augment(image, box, rng)
        assert changed.shape == image.shape
        assert changed.dtype == np.uint8
        # Corners of a rotated rectangle cover little of their pixel, hence two pixels of tolerance.
        assert np.abs(find_object(changed) - changed_box).max() < 2.01 / SIDE


def test_object_that_fills_the_image_stays_in_it():
    image, box = draw_rectangle([0, SIDE, 0, SIDE])
    for seed in range(200):
        picture, changed = standard(image, box, np.random.default_rng(seed))
        assert np.abs(find_object(picture) - changed).max() < 2.01 / SIDE
        assert (changed[1::2] - changed[::2] > 0.5).all()


def test_wide_image_is_rotated_and_not_sheared():
    # A square of 40 pixels in the centre of 200 x 80: rotated by a, its width and
    # height both become 40 * (cos a + sin a) pixels.
    image = np.full((80, 200, 3), BLUE, dtype=np.uint8)
    box = np.array([80 / 200, 120 / 200, 20 / 80, 60 / 80])
    rotated = _rotate_box(box, np.deg2rad(8), *image.shape[1::-1])
    side = 40 * (np.cos(np.deg2rad(8)) + np.sin(np.deg2rad(8)))
    assert rotated[1] - rotated[0] == pytest.approx(side / 200)
    assert rotated[3] - rotated[2] == pytest.approx(side / 80)


def test_arguments_are_not_changed():
    image, box = draw_rectangle([10, 50, 20, 60])
    before = image.copy(), box.copy()
    image.flags.writeable = box.flags.writeable = False
    standard(image, box, np.random.default_rng(0))
    assert (image == before[0]).all()
    assert (box == before[1]).all()


def test_mirroring_twice_restores_the_image():
    image, box = draw_rectangle([10, 50, 20, 60])
    again, box_again = mirror(*mirror(image, box))
    assert (again == image).all()
    assert np.allclose(box_again, box)


def test_mirror_swaps_left_and_right():
    # x from 10 to 50 of 120 becomes 70 to 110.
    image, box = mirror(*draw_rectangle([10, 50, 20, 60]))
    expected, expected_box = draw_rectangle([70, 110, 20, 60])
    assert (image == expected).all()
    assert np.allclose(box, expected_box)


def test_flip_mirrors_about_half_of_the_images():
    image, box = draw_rectangle([10, 50, 20, 60])
    rng = np.random.default_rng(0)
    changed = [flip(image, box, rng)[1][0] != box[0] for _ in range(1000)]
    # Five standard deviations of a fair coin are 79.
    assert abs(sum(changed) - 500) < 79


@pytest.mark.parametrize("augment", [None, standard])
def test_callables_and_none_are_returned_as_augmentation(augment):
    assert get_augmentation(augment) is augment


def test_unknown_augmentation_raises_with_the_known_names():
    with pytest.raises(ValueError, match=r"one of \['flip', 'standard'\].*Received: 'turn'"):
        get_augmentation("turn")


@pytest.mark.parametrize(("augment", "expected"), [(None, 1), ("flip", 2), ("standard", 6)])
def test_number_of_views(augment, expected):
    assert len(make_views(augment, 6)) == expected


@pytest.mark.parametrize(
    ("augment", "whole"),
    [
        (None, ["image"] * 4),
        ("flip", ["image", "mirror", "image", "mirror"]),
        ("standard", ["image", "mirror", "standard", "standard"]),
    ],
)
def test_half_of_the_views_of_two_looks_are_windows(augment, whole):
    assert [view.kind for view in make_views(augment, 4, 4)] == [*whole, *["window"] * 4]


def test_views_depend_only_on_the_image():
    image, box = draw_rectangle([10, 50, 20, 60])
    view = make_views("standard", 4)[3]
    first, first_box = view(image, box)
    second, second_box = view(image, box)
    other, _ = view(*draw_rectangle([11, 50, 20, 60]))
    assert (first == second).all()
    assert (first_box == second_box).all()
    assert (first != other).any()
