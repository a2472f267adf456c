"""``predict_iter``: predictions for a stream of images."""

import itertools
import queue
import threading
import time

import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer
from PIL import Image

from skbbox import SingleBoxLocalizer
from skbbox.exceptions import ImageError, SkbboxWarning


@pytest.fixture
def change(fitted):
    """A function that copies the fitted estimator with other parameters."""

    def copy_with(**parameters):
        copied = object.__new__(SingleBoxLocalizer)
        copied.__dict__.update(vars(fitted))
        return copied.set_params(**parameters)

    return copy_with


def assert_same(rows, expected):
    table = pd.DataFrame(rows)
    assert list(table) == list(expected)
    assert table["class_name"].tolist() == expected["class_name"].tolist()
    numbers = list(expected)[1:]
    np.testing.assert_allclose(table[numbers], expected[numbers], atol=1e-6)


def test_rows_are_those_of_predict(fitted, shapes):
    X, _ = shapes
    assert_same(fitted.predict_iter(image for image in X), fitted.predict(X))


def test_a_row_comes_before_the_next_image(fitted, shapes):
    row_came = threading.Event()

    def camera():
        yield shapes[0][0]
        assert row_came.wait(60)
        yield shapes[0][1]

    rows = fitted.predict_iter(camera())
    first = next(rows)
    row_came.set()
    assert_same([first, *rows], fitted.predict(shapes[0][:2]))


def test_a_queue_ends_at_none(fitted, shapes):
    frames = queue.Queue()
    for image in (*shapes[0][:3], None):
        frames.put(image)
    assert_same(fitted.predict_iter(frames), fitted.predict(shapes[0][:3]))


def test_few_images_of_an_endless_stream_are_taken(fitted, shapes):
    n_taken = itertools.count()
    numbers = []

    def camera():
        while True:
            numbers.append(next(n_taken))
            yield shapes[0][0]

    rows = fitted.predict_iter(camera(), batch_size=4)
    next(rows)
    time.sleep(0.2)
    # Four in the network, four that wait, and one for which there is no room.
    assert len(numbers) <= 9
    assert list(itertools.islice(rows, 20)) != []
    rows.close()


def test_closing_ends_the_thread(fitted, shapes):
    before = set(threading.enumerate())
    rows = fitted.predict_iter(itertools.cycle(shapes[0]), batch_size=2)
    next(rows)
    (thread,) = (t for t in set(threading.enumerate()) - before if t.name == "skbbox-stream")
    rows.close()
    thread.join(60)
    assert not thread.is_alive()


def test_the_stream_may_use_the_memory_of_an_array_again(fitted, shapes):
    frame = np.empty_like(shapes[0][0])

    def camera():
        for image in shapes[0]:
            frame[:] = image
            yield frame

    assert_same(fitted.predict_iter(camera()), fitted.predict(shapes[0]))


def test_paths_of_a_table_are_predicted(fitted, shapes, tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(2)]
    for path, image in zip(paths, shapes[0], strict=False):
        Image.fromarray(image).save(path)
    table = pd.DataFrame({"image": list(map(str, paths))})
    assert_same(fitted.predict_iter(table), fitted.predict(table))


@pytest.mark.parametrize("batch_size", [1, 8])
def test_unreadable_image_is_an_error_after_the_rows_before_it(fitted, shapes, batch_size):
    images = [*shapes[0][:3], "nowhere.jpg", shapes[0][4]]
    rows = fitted.predict_iter(iter(images), batch_size=batch_size)
    assert_same([next(rows) for _ in range(3)], fitted.predict(shapes[0][:3]))
    with pytest.raises(ImageError, match=r"Row 3: nowhere\.jpg does not exist"):
        next(rows)


def test_unreadable_image_is_a_row_with_the_reason(change, shapes):
    images = [shapes[0][0], "nowhere.jpg", shapes[0][1]]
    first, bad, last = change(on_bad_image="skip").predict_iter(iter(images))
    assert (first.error, last.error) == (None, None)
    assert first.class_name is not None
    assert bad.class_name is None
    assert np.isnan(bad[1:-1]).all()
    assert bad.error.startswith("nowhere.jpg does not exist")


def test_unreadable_image_is_a_warning_that_names_its_row(change, shapes):
    rows = change(on_bad_image="warn").predict_iter([shapes[0][0], "nowhere.jpg"])
    with pytest.warns(SkbboxWarning, match=r"Row 1 cannot be read: nowhere\.jpg"):
        assert len(list(rows)) == 2


def test_error_of_the_stream_comes_after_the_rows_before_it(fitted, shapes):
    def camera():
        yield from shapes[0][:2]
        raise OSError("no signal")

    rows = fitted.predict_iter(camera())
    assert_same([next(rows), next(rows)], fitted.predict(shapes[0][:2]))
    with pytest.raises(OSError, match="no signal"):
        next(rows)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (iter([None]), "Row 0 of the stream is not an image: .* Received: None"),
        (3, "images must be an iterable of images.* Received: int"),
        ("photo.jpg", "X is one image; pass a list"),
        (np.zeros((8, 8, 3), np.uint8), "must be 1-D with paths, or uint8 of shape"),
    ],
)
def test_what_is_no_stream_of_images_is_refused(fitted, images, message):
    with pytest.raises(ImageError, match=message):
        next(fitted.predict_iter(images))


@pytest.mark.parametrize("batch_size", [0, 1.5, True])
def test_batch_size_is_a_positive_integer(fitted, batch_size):
    with pytest.raises(ValueError, match="batch_size must be an integer of at least 1"):
        fitted.predict_iter([], batch_size=batch_size)


@pytest.mark.slow
def test_features_of_a_stream_are_not_stored(frozen_backbone, shapes, tmp_path):
    X, y = shapes
    localizer = small_localizer(
        backbone=frozen_backbone, weights="imagenet", epochs=1, memory=tmp_path
    ).fit(X[:16], y[:16])
    before = sorted(tmp_path.rglob("*"))
    assert len(list(localizer.predict_iter(iter(X[16:24])))) == 8
    assert sorted(tmp_path.rglob("*")) == before
