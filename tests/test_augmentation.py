"""Augmentation: the box stays the object's."""

import numpy as np
import pytest

from skbbox.augmentation import get_augmentation, make_views, mirror, standard

SIDE = 120
BLUE, RED = (40, 60, 200), (200, 30, 30)


def picture_of(box):
    """A red rectangle on blue; the box in pixels, half-open."""
    x_min, x_max, y_min, y_max = box
    image = np.full((SIDE, SIDE, 3), BLUE, dtype=np.uint8)
    image[y_min:y_max, x_min:x_max] = RED
    return image, np.array(box) / SIDE


def object_edges(image):
    """Edges of what is redder than blue, normalised; brightness and contrast keep that."""
    red = image[..., 0].astype(int) > image[..., 2]
    columns, rows = np.flatnonzero(red.any(axis=0)), np.flatnonzero(red.any(axis=1))
    return np.array([columns[0], columns[-1] + 1, rows[0], rows[-1] + 1]) / SIDE


@pytest.mark.parametrize("name", ["flip", "standard"])
def test_the_box_is_that_of_the_objects_own_pixels(name):
    rng = np.random.default_rng(0)
    augment = get_augmentation(name)
    for _ in range(1000):
        low = rng.integers(5, 70, size=2)
        high = low + rng.integers(15, 45, size=2)
        image, box = picture_of([low[0], high[0], low[1], high[1]])
        changed, changed_box = augment(image, box, rng)
        assert changed.shape == image.shape
        assert changed.dtype == np.uint8
        # A corner of a turned rectangle covers little of its pixel: two pixels of doubt.
        assert np.abs(object_edges(changed) - changed_box).max() < 2.01 / SIDE


def test_an_object_that_fills_the_image_stays_in_it():
    image, box = picture_of([0, SIDE, 0, SIDE])
    for seed in range(200):
        picture, changed = standard(image, box, np.random.default_rng(seed))
        assert np.abs(object_edges(picture) - changed).max() < 2.01 / SIDE
        assert (changed[1::2] - changed[::2] > 0.5).all()


def test_a_wide_image_is_turned_and_not_sheared():
    # A square of 40 pixels in the middle of 200 x 80: turned by a, both of its
    # sides become 40 * (cos a + sin a) pixels, so width and height stay equal.
    image = np.full((80, 200, 3), BLUE, dtype=np.uint8)
    box = np.array([80 / 200, 120 / 200, 20 / 80, 60 / 80])
    from skbbox.augmentation import _turned_box

    turned = _turned_box(box, np.deg2rad(8), *image.shape[1::-1])
    side = 40 * (np.cos(np.deg2rad(8)) + np.sin(np.deg2rad(8)))
    assert turned[1] - turned[0] == pytest.approx(side / 200)
    assert turned[3] - turned[2] == pytest.approx(side / 80)


def test_what_is_given_is_left_as_it_was():
    image, box = picture_of([10, 50, 20, 60])
    before = image.copy(), box.copy()
    image.flags.writeable = box.flags.writeable = False
    standard(image, box, np.random.default_rng(0))
    assert (image == before[0]).all()
    assert (box == before[1]).all()


def test_mirrored_twice_is_the_image_itself():
    image, box = picture_of([10, 50, 20, 60])
    again, box_again = mirror(*mirror(image, box))
    assert (again == image).all()
    assert np.allclose(box_again, box)


@pytest.mark.parametrize(("augment", "expected"), [(None, 1), ("flip", 2), ("standard", 6)])
def test_number_of_views(augment, expected):
    assert len(make_views(augment, 6)) == expected


def test_an_image_has_the_same_views_each_time_and_others_than_another():
    image, box = picture_of([10, 50, 20, 60])
    view = make_views("standard", 4)[3]
    first, first_box = view(image, box)
    second, second_box = view(image, box)
    other, _ = view(*picture_of([11, 50, 20, 60]))
    assert (first == second).all()
    assert (first_box == second_box).all()
    assert (first != other).any()
