"""Batches for Keras: shapes, order, last batch, augmentation and workers."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skbbox import BoundingBoxGenerator
from skbbox.datasets import make_shapes
from skbbox.exceptions import BoxError, ImageError
from skbbox.features.maps import Features
from skbbox.features.store import Record
from skbbox.inputs import Targets
from skbbox.training.batches import FeatureBatches, ModelBatches
from skbbox.training.labels import make_labels


def table(n_samples=10, image_size=32):
    X, y = make_shapes(n_samples, image_size=image_size, random_state=0)
    return y.assign(image=list(X))


def test_first_batch_has_the_shapes_of_the_chapter():
    images, (y_class, y_bbox) = next(iter(BoundingBoxGenerator(table(), 24, 40, 4, False)))
    assert images.shape == (4, 24, 40, 3)
    assert y_class.shape == (4,)
    assert y_bbox.shape == (4, 4)


def test_7040_rows_in_batches_of_32_are_220_batches():
    row = pd.DataFrame(
        {
            "image": "a.jpg",
            "class_name": "cake",
            "x_min": 0.1,
            "x_max": 0.5,
            "y_min": 0,
            "y_max": 1,
        },
        index=range(7040),
    )
    assert len(BoundingBoxGenerator(row, 224, 224, 32, True)) == 220


@pytest.mark.parametrize("last_batch, sizes", [("keep", [4, 4, 2]), ("drop", [4, 4])])
def test_last_batch_is_kept_or_dropped(last_batch, sizes):
    generator = BoundingBoxGenerator(table(), 32, 32, 4, False, last_batch=last_batch)
    assert [len(images) for images, _ in generator] == sizes


def test_padded_last_batch_is_filled_from_the_start_of_the_epoch():
    boxes = table()
    generator = BoundingBoxGenerator(boxes, 32, 32, 4, False, last_batch="pad")
    images, _ = generator[2]
    expected = np.stack([boxes["image"][row] for row in (8, 9, 0, 1)])
    assert np.array_equal(images, expected)


def test_padding_repeats_a_table_smaller_than_a_batch():
    boxes = table(2)
    images, _ = BoundingBoxGenerator(boxes, 32, 32, 5, False, last_batch="pad")[0]
    assert np.array_equal(images, np.stack([boxes["image"][row] for row in (0, 1, 0, 1, 0)]))


def test_iteration_ends_after_the_last_batch():
    assert sum(1 for _ in BoundingBoxGenerator(table(), 32, 32, 4, False)) == 3


def test_batch_after_the_last_is_an_index_error():
    with pytest.raises(IndexError, match="Batch 3 of 3"):
        BoundingBoxGenerator(table(), 32, 32, 4, False)[3]


def test_classes_are_codes_of_the_sorted_names():
    boxes = table()
    _, (y_class, _) = BoundingBoxGenerator(boxes, 32, 32, 10, False)[0]
    names = ["disc", "square", "star", "triangle"]
    assert [names[code] for code in y_class] == boxes["class_name"].tolist()


def test_boxes_come_in_the_order_x_min_x_max_y_min_y_max():
    boxes = table()
    _, (_, y_bbox) = BoundingBoxGenerator(boxes, 32, 32, 10, False)[0]
    expected = boxes[["x_min", "x_max", "y_min", "y_max"]].to_numpy()
    assert np.allclose(y_bbox, expected, atol=1e-7)


def test_without_class_name_the_target_is_the_box_alone():
    boxes = table().drop(columns="class_name")
    _, y_bbox = BoundingBoxGenerator(boxes, 32, 32, 4, False)[0]
    assert np.allclose(y_bbox, boxes[["x_min", "x_max", "y_min", "y_max"]][:4], atol=1e-7)


def test_same_seed_gives_the_same_order_and_each_epoch_another():
    first, second = (
        BoundingBoxGenerator(table(), 32, 32, 10, True, random_state=7) for _ in range(2)
    )
    assert np.array_equal(first[0][0], second[0][0])
    before = first[0][0]
    first.on_epoch_end()
    assert not np.array_equal(before, first[0][0])


def test_shuffling_leaves_the_global_random_state_alone():
    before = np.random.get_state()[1].copy()
    BoundingBoxGenerator(table(), 32, 32, 10, True)[0]
    assert np.array_equal(before, np.random.get_state()[1])


def test_flip_mirrors_image_and_box_together():
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[2:4, 1:3] = 255  # columns 1 and 2 of 8: x from 0.125 to 0.375
    boxes = pd.DataFrame(
        {"image": [picture] * 40, "x_min": 0.125, "x_max": 0.375, "y_min": 0.25, "y_max": 0.5}
    )
    images, y_bbox = BoundingBoxGenerator(boxes, 8, 8, 40, False, augment="flip", random_state=0)[0]
    lit = [np.flatnonzero(image[2, :, 0]) for image in images]
    assert [(pixels[0] / 8, (pixels[-1] + 1) / 8) for pixels in lit] == [
        (x_min, x_max) for x_min, x_max, _, _ in y_bbox.tolist()
    ]
    # Mirrored, the object is in columns 5 and 6: x from 0.625 to 0.875.
    assert {row[0] for row in y_bbox.tolist()} == {0.125, 0.625}


def test_a_callable_augments_image_and_box():
    def darken(image, box, rng):
        return image // 2, box

    boxes = table()
    images, _ = BoundingBoxGenerator(boxes, 32, 32, 2, False, augment=darken)[0]
    assert np.array_equal(images[0], boxes["image"][0] // 2)


def test_a_callable_may_return_integers_and_fractions():
    def halved_now_and_then(image, box, rng):
        return (image if rng.random() < 0.5 else image / 2), box

    boxes = table()
    generator = BoundingBoxGenerator(
        boxes, 32, 32, 1, False, augment=halved_now_and_then, random_state=0
    )
    images = [images[0] for images, _ in generator]
    assert {image.dtype for image in images} == {np.dtype("float32")}
    halved = [
        np.array_equal(image, given / 2)
        for image, given in zip(images, boxes["image"], strict=True)
    ]
    assert any(halved) and not all(halved)


def test_keras_trains_on_it_with_two_workers():
    import keras

    pixels = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(pixels)
    model = keras.Model(
        pixels,
        [
            keras.layers.Dense(4, "softmax", name="a")(pooled),
            keras.layers.Dense(4, name="b")(pooled),
        ],
    )
    model.compile("adam", {"a": "sparse_categorical_crossentropy", "b": "mse"})
    generator = BoundingBoxGenerator(table(), 32, 32, 4, True, random_state=0, workers=2)
    history = model.fit(generator, epochs=2, verbose=0).history
    assert len(history["loss"]) == 2
    assert np.isfinite(history["loss"]).all()


def test_a_missing_image_is_named_by_row_and_path(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "here.png")
    boxes = table(2).assign(image=[str(tmp_path / "here.png"), str(tmp_path / "gone.png")])
    with pytest.raises(ImageError, match=r"Row 1: .*gone\.png does not exist"):
        BoundingBoxGenerator(boxes, 8, 8, 2, False)[0]


def test_a_row_without_a_box_is_refused():
    boxes = table(3)
    boxes.loc[1, "x_min"] = np.nan
    with pytest.raises(BoxError, match="Row 1"):
        BoundingBoxGenerator(boxes, 8, 8, 2, False)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"last_batch": "wrap"}, "last_batch"),
        ({"batch_size": 0}, "batch_size"),
        ({"augment": "blur"}, "augment"),
        ({"last_batch": "drop", "batch_size": 11}, "leaves no batch"),
        ({"classes": ["disc"]}, "is not one of the known classes"),
    ],
)
def test_a_wrong_parameter_is_named(wrong, message):
    parameters = {"batch_size": 4, "shuffle": False} | wrong
    with pytest.raises(ValueError, match=message):
        BoundingBoxGenerator(table(), 32, 32, **parameters)


def test_endless_batches_are_those_of_one_epoch_after_another():
    expected = BoundingBoxGenerator(table(), 32, 32, 4, True, random_state=7)
    endless = ModelBatches(
        BoundingBoxGenerator(table(), 32, 32, 4, True, random_state=7),
        ["bbox_prediction"],
        endless=True,
    )
    for epoch in range(3):
        for index in range(3):
            images, (y_class, y_bbox) = expected[index]
            same_images, (same_class, same_bbox) = endless[3 * epoch + index]
            assert np.array_equal(images, same_images)
            assert np.array_equal(y_class, same_class)
            assert np.array_equal(y_bbox, same_bbox)
        expected.on_epoch_end()


def test_batches_that_a_thread_makes_are_those_asked_for_in_any_order():
    expected = BoundingBoxGenerator(table(), 32, 32, 4, False)
    batches = ModelBatches(expected, ["bbox_prediction"], endless=False)
    for index in (0, 2, 1, 1, 0):
        assert np.array_equal(batches[index][0], expected[index][0])


def test_an_error_in_a_batch_ends_that_batch_and_not_the_one_before(tmp_path):
    boxes = table()
    boxes["image"] = [*boxes["image"][:4], tmp_path / "missing.png", *boxes["image"][5:]]
    batches = ModelBatches(
        BoundingBoxGenerator(boxes, 32, 32, 4, False), ["bbox_prediction"], endless=False
    )
    assert len(batches[0][0]) == 4
    with pytest.raises(ImageError, match="Row 4"):
        batches[1]


BOX_OUTPUTS = ["bbox_prediction", "bbox_iou", "bbox_x_edges"]


@pytest.mark.parametrize("weights", [None, np.arange(10)], ids=["equal", "weighted"])
@pytest.mark.parametrize("outputs", [["class_prediction", *BOX_OUTPUTS], BOX_OUTPUTS])
def test_the_box_is_the_target_of_every_box_output(outputs, weights):
    boxes = table() if len(outputs) == 4 else table().drop(columns="class_name")
    batches = BoundingBoxGenerator(boxes, 32, 32, 4, False, sample_weight=weights)
    _, *rest = ModelBatches(batches, outputs, endless=False)[0]
    assert all(len(values) == len(outputs) for values in rest)
    assert all(np.array_equal(values[-1], v) for values in rest for v in values[-3:])


def partial_table():
    """Rows with class and box, class only, box only and neither; then six with both."""
    boxes = table()
    boxes.loc[[1, 3], ["x_min", "x_max", "y_min", "y_max"]] = np.nan
    boxes.loc[[2, 3], "class_name"] = None
    return boxes


def test_missing_labels_have_no_weight_and_the_others_make_up_for_it():
    generator = BoundingBoxGenerator(partial_table(), 32, 32, 4, False)
    _, _, (of_class, of_box, of_presence) = generator[0]
    # 8 of 10 rows have a class, and 8 a box.
    assert of_class.tolist() == [1.25, 1.25, 0, 0]
    assert of_box.tolist() == [1.25, 0, 1.25, 0]
    assert of_presence.tolist() == [1, 1, 1, 1]


def test_presence_is_a_target_if_an_image_has_no_object():
    generator = BoundingBoxGenerator(partial_table(), 32, 32, 4, False)
    _, (_, _, presence), _ = generator[0]
    assert presence.tolist() == [[1], [1], [1], [0]]


def test_rows_without_a_box_have_a_valid_stand_in():
    generator = BoundingBoxGenerator(partial_table(), 32, 32, 4, False, augment="standard")
    _, (_, boxes, _), _ = generator[0]
    assert ((boxes[:, ::2] < boxes[:, 1::2]) & (boxes[:, ::2] >= 0) & (boxes[:, 1::2] <= 1)).all()


def feature_batches(shuffle):
    """One batch an epoch of three rows with four views each; row r and view v hold 10 r + v."""
    box = np.zeros(4)
    records = [[Record(np.float32([10 * r + v]), box) for v in range(4)] for r in range(3)]
    return FeatureBatches(
        Features(records, np.zeros((3, 4)), [()]),
        make_labels(Targets(np.zeros((3, 4)), None)),
        rows=np.arange(3),
        batch_size=3,
        shuffle=shuffle,
        seed=0,
    )


def test_views_of_an_image_take_turns():
    batches = feature_batches(shuffle=True)
    seen = np.sort([np.sort(batches.get_batch(epoch, 0)[0]) for epoch in range(4)], axis=0)
    assert seen.tolist() == [[view, 10 + view, 20 + view] for view in range(4)]


def test_without_shuffling_the_first_view_is_taken():
    batches = feature_batches(shuffle=False)
    assert batches.get_batch(5, 0)[0].tolist() == [0.0, 10.0, 20.0]


def test_what_a_callable_changes_in_place_stays_in_its_batch():
    def blacken(image, box, rng):
        image[:] = 0
        box[:] = [0, 1, 0, 1]
        return image, box

    boxes = table()
    before = [image.copy() for image in boxes["image"]]
    generator = BoundingBoxGenerator(boxes, 32, 32, 10, False, augment=blacken)
    images, (_, y_bbox) = generator[0]
    assert (images == 0).all()
    assert (y_bbox == [0, 1, 0, 1]).all()
    assert all(map(np.array_equal, boxes["image"], before))
    assert np.allclose(generator.labels.boxes, boxes[["x_min", "x_max", "y_min", "y_max"]])


@pytest.mark.parametrize(
    ("augment", "error", "message"),
    [
        (lambda image, box, rng: (image[1:], box), ValueError, r"row 0: \(31, 32, 3\)"),
        (lambda image, box, rng: (image, box[:2]), ValueError, r"and \(2,\)"),
        (lambda image, box, rng: (image, box * np.nan), BoxError, "Row 0: augment returned"),
    ],
)
def test_what_a_callable_must_not_return_is_refused_with_its_row(augment, error, message):
    generator = BoundingBoxGenerator(table(), 32, 32, 4, False, augment=augment)
    with pytest.raises(error, match=message):
        generator[0]
