"""Accepted types of X, y and sample_weight, and the errors for others."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skbbox import TARGET_COLUMNS
from skbbox.exceptions import BoxError, ImageError
from skbbox.inputs import (
    check_images,
    check_sample_weight,
    check_targets,
    encode_classes,
    make_table,
)

PATHS = ["a.jpg", "b.jpg"]
PIXELS = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
Y = pd.DataFrame(
    [("cat", 0.0, 0.5, 0.25, 0.75), ("dog", 0.1, 0.2, 0.3, 0.4)], columns=TARGET_COLUMNS
)
BOXES = [[0.0, 0.5, 0.25, 0.75], [0.1, 0.2, 0.3, 0.4]]
COORDINATES = list(TARGET_COLUMNS[1:])


def structured(frame):
    kinds = [(name, "U8" if name == "class_name" else np.float64) for name in frame.columns]
    return np.array([tuple(row) for row in frame.to_numpy()], dtype=kinds)


# ---------------------------------------------------------------- X


@pytest.mark.parametrize(
    "X",
    [
        pytest.param(PATHS, id="list"),
        pytest.param(tuple(PATHS), id="tuple"),
        pytest.param(pd.Series(PATHS), id="Series"),
        pytest.param(pd.Series(PATHS, dtype=object), id="Series of objects"),
        pytest.param(pd.Series(PATHS).values, id="values of a Series"),
        pytest.param(pd.array(PATHS, dtype="string"), id="pandas array"),
        pytest.param(np.array(PATHS), id="array of text"),
        pytest.param(np.array(PATHS, dtype=object), id="array of objects"),
        pytest.param(np.array(PATHS, dtype=np.dtypes.StringDType()), id="array of StringDType"),
        pytest.param(np.array(PATHS)[:, None], id="column of text"),
        pytest.param(pd.DataFrame({"other": [1, 2], "image": PATHS}), id="DataFrame"),
    ],
)
def test_paths_are_accepted_in_each_type(X):
    items = check_images(X).items
    assert items == PATHS
    assert {type(item) for item in items} == {str}


@pytest.mark.parametrize("make", [list, pd.Series, lambda paths: np.array(paths, dtype=object)])
def test_path_objects_are_not_converted(make):
    paths = [Path("a.jpg"), Path("b.jpg")]
    assert check_images(make(paths)).items == paths


@pytest.mark.parametrize(
    "make", [pd.Series, lambda paths, index: pd.DataFrame({"image": paths}, index=index)]
)
def test_index_is_preserved(make):
    index = pd.Index(["first", "second"], name="picture")
    assert check_images(make(PATHS, index=index)).index.identical(index)


@pytest.mark.parametrize("X", [PATHS, np.array(PATHS), PIXELS])
def test_x_without_an_index_has_none(X):
    assert check_images(X).index is None


def test_four_dimensional_array_has_one_image_per_row():
    items = check_images(PIXELS).items
    assert len(items) == 2
    np.testing.assert_array_equal(items[1], PIXELS[1])


def test_images_of_different_sizes_are_accepted_in_a_list():
    images = [PIXELS[0], PIXELS[1, :2], Image.new("L", (3, 3))]
    assert check_images(images).items == images


def test_object_array_may_contain_arrays_of_different_sizes():
    images = np.empty(2, dtype=object)
    images[:] = [PIXELS[0], PIXELS[1, :2]]
    assert [item.shape for item in check_images(images).items] == [(4, 5, 3), (2, 5, 3)]


def test_length_is_the_number_of_images():
    assert len(check_images(PATHS)) == 2


@pytest.mark.parametrize(
    ("X", "message"),
    [
        pytest.param([], "X has no images", id="empty list"),
        pytest.param(PIXELS[:0], "X has no images", id="empty array"),
        pytest.param(pd.DataFrame({"image": []}), "X has no images", id="empty DataFrame"),
        pytest.param("a.jpg", r"X is one image; pass a list: \['a.jpg'\]", id="one path"),
        pytest.param(Path("a.jpg"), "X is one image; pass a list", id="one Path"),
        pytest.param(Image.new("L", (3, 3)), "X is one image; pass a list", id="one PIL image"),
        pytest.param(PIXELS[0], r"Received shape \(4, 5, 3\) and dtype uint8", id="one array"),
        pytest.param(np.zeros((3, 2)), r"Received shape \(3, 2\) and dtype float64", id="numbers"),
        pytest.param(
            pd.DataFrame({"path": PATHS}),
            r"needs the column 'image'.*Received the columns: \['path'\]",
            id="DataFrame without the column",
        ),
        pytest.param(None, "Received: NoneType", id="None"),
        pytest.param({"image": PATHS}, "Received: dict", id="dict"),
        pytest.param(["a.jpg", 3], "Row 1 of X is not an image.*Received: 3", id="number"),
        pytest.param(["a.jpg", None], "Row 1 of X is not an image.*Received: None", id="None row"),
        pytest.param(
            pd.Series(["a.jpg", np.nan]), "Row 1 of X is not an image.*nan", id="missing path"
        ),
        pytest.param([b"a.jpg"], "Row 0 of X is not an image", id="bytes"),
    ],
)
def test_other_x_raises(X, message):
    with pytest.raises(ImageError, match=message):
        check_images(X)


@pytest.mark.parametrize("kind", [str, Path])
def test_home_folder_is_expanded(kind, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    # The second name begins with ~, but names no user.
    items = check_images([kind("~/a.jpg"), kind("~draft.jpg"), kind("b/~/c.jpg")]).items
    assert items == [kind(tmp_path / "a.jpg"), kind("~draft.jpg"), kind("b/~/c.jpg")]


def test_rows_of_one_path_have_one_key():
    keys = check_images(["a.jpg", Path("a.jpg"), "b.jpg"]).keys()
    assert keys[0] == keys[1] != keys[2]


def test_each_array_has_its_own_key():
    assert len(set(check_images([PIXELS[0], PIXELS[0]]).keys())) == 2


# ---------------------------------------------------------------- y


@pytest.mark.parametrize(
    "y",
    [
        pytest.param(Y, id="DataFrame"),
        pytest.param(Y[list(TARGET_COLUMNS[::-1])], id="columns in another order"),
        pytest.param(Y.assign(difficult=True, note=None), id="further columns"),
        pytest.param(Y.set_axis([5, 5]), id="another index"),
        pytest.param(Y.astype({"class_name": "category"}), id="categorical class"),
        pytest.param(Y.astype({"class_name": object}), id="object class"),
        pytest.param(structured(Y), id="structured array"),
        pytest.param(structured(Y).view(np.recarray), id="record array"),
    ],
)
def test_table_is_accepted_in_each_type(y):
    targets = check_targets(y, 2)
    assert targets.class_names.tolist() == ["cat", "dog"]
    assert targets.boxes.tolist() == BOXES


@pytest.mark.parametrize("y", [Y[COORDINATES], structured(Y[COORDINATES])], ids=type)
def test_table_without_class_name_has_no_classes(y):
    targets = check_targets(y, 2)
    assert targets.class_names is None
    assert targets.boxes.tolist() == BOXES


def test_float32_coordinates_become_float64():
    y = Y.astype(dict.fromkeys(COORDINATES, np.float32))
    assert check_targets(y, 2).boxes.dtype == np.float64


def test_number_of_targets_is_the_number_of_rows():
    assert len(check_targets(Y, 2)) == 2


@pytest.mark.parametrize("classes", [["cat", "dog"], [3, 1], [True, False]])
def test_classes_may_be_text_numbers_or_bools(classes):
    assert check_targets(Y.assign(class_name=classes), 2).class_names.tolist() == classes


@pytest.mark.parametrize(
    ("y", "message"),
    [
        pytest.param(None, "y is None.*pandas.DataFrame", id="None"),
        pytest.param(Y.to_numpy(), r"ndarray of shape \(2, 5\)", id="unnamed 2-D array"),
        pytest.param(BOXES, r"list of shape \(2, 4\)", id="list"),
        pytest.param([[1], [2, 3]], r"list of shape \(2,\)", id="ragged list"),
        pytest.param(Y["class_name"], r"Series of shape \(2,\)", id="Series"),
    ],
)
def test_y_without_named_columns_raises_and_shows_the_table_to_build(y, message):
    build = (
        r"pandas.DataFrame\(rows, columns=\['class_name', 'x_min', 'x_max', 'y_min', 'y_max'\]\)"
    )
    with pytest.raises(BoxError, match=build) as raised:
        check_targets(y, 2)
    assert raised.match(message)


@pytest.mark.parametrize(
    ("y", "n_images", "message"),
    [
        pytest.param(
            Y.drop(columns=["x_max", "y_min"]),
            2,
            r"is missing the columns \['x_max', 'y_min'\]. Received: \['class_name', 'x_min', 'y_m",
            id="columns missing",
        ),
        pytest.param(Y, 3, "differ in length: 3 images and 2 rows of boxes", id="too short"),
        pytest.param(Y, 1, "differ in length: 1 images and 2 rows of boxes", id="too long"),
        pytest.param(
            Y.assign(class_name=["cat", None]), 2, "Row 1: class_name is missing", id="no class"
        ),
        pytest.param(
            Y.assign(class_name=["cat", pd.NA]), 2, "Row 1: class_name is missing", id="NA class"
        ),
        pytest.param(
            Y.assign(class_name=["cat", 3]), 2, "mixes text with other types", id="mixed classes"
        ),
        pytest.param(Y.assign(x_min=[0, np.nan]), 2, "Row 1: a coordinate is missing", id="NaN"),
        pytest.param(Y.assign(x_min=[0, 0.9]), 2, "Row 1: the box is inverted", id="inverted"),
        pytest.param(Y.assign(x_min=[0, 0.2]), 2, "Row 1: the box is empty", id="empty"),
        pytest.param(Y.assign(x_max=[0.5, 1.2]), 2, "Row 1: an edge lies outside", id="outside"),
        pytest.param(
            Y.assign(x_max=[0.5, 120]), 2, "Row 1: these look like pixel coordinates", id="pixels"
        ),
        pytest.param(
            Y.assign(x_max=[0.5, "wide"]), 2, "Row 1: x_max is not a number.*'wide'", id="text"
        ),
    ],
)
def test_invalid_y_raises(y, n_images, message):
    with pytest.raises(BoxError, match=message):
        check_targets(y, n_images)


def test_row_in_the_message_is_a_position_not_a_label():
    y = Y.assign(x_min=[0, 0.9]).set_axis([100, 200])
    with pytest.raises(BoxError, match="Row 1:"):
        check_targets(y, 2)


def test_tiny_overshoot_is_clipped():
    assert check_targets(Y.assign(x_max=[1 + 1e-7, 0.2]), 2).boxes[0, 1] == 1.0


def test_y_is_not_written_to():
    y = Y.assign(x_max=[1 + 1e-7, 0.2])
    before = y.copy()
    check_targets(y, 2)
    pd.testing.assert_frame_equal(y, before)


# ---------------------------------------------------------------- sample_weight


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        ([1, 3], [1.0, 3.0]),
        (np.array([0.0, 2.0]), [0.0, 2.0]),
        (pd.Series([1, 3], index=[9, 8]), [1.0, 3.0]),
        (2, [2.0, 2.0]),
    ],
)
def test_sample_weight_becomes_float64(weight, expected):
    weights = check_sample_weight(weight, 2)
    assert weights.dtype == np.float64
    assert weights.tolist() == expected


def test_no_sample_weight_stays_none():
    assert check_sample_weight(None, 2) is None


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1, 2, 3], r"each of the 2 images. Received shape \(3,\)"),
        ([[1], [2]], r"Received shape \(2, 1\)"),
        ([1, -2], r"must be finite and not negative. Received: -2.0 in row 1"),
        ([1, np.nan], r"Received: nan in row 1"),
        ([np.inf, 1], r"Received: inf in row 0"),
        ([0, 0], r"is zero in every row; at least one weight must be positive"),
    ],
)
def test_invalid_sample_weight_raises(weight, message):
    with pytest.raises(ValueError, match=message):
        check_sample_weight(weight, 2)


# ---------------------------------------------------------------- classes and tables


def test_class_indices_follow_the_sorted_names():
    classes, class_indices = encode_classes(np.array(["dog", "cat", "dog"], dtype=object))
    assert classes.tolist() == ["cat", "dog"]
    assert class_indices.dtype == np.int32
    assert class_indices.tolist() == [1, 0, 1]


def test_class_indices_follow_the_order_of_given_classes():
    classes, class_indices = encode_classes(np.array(["dog", "cat"], dtype=object), ["dog", "cat"])
    assert classes.tolist() == ["dog", "cat"]
    assert class_indices.tolist() == [0, 1]


def test_boxes_without_classes_have_no_class_indices():
    assert encode_classes(None, ["cat"]) == (None, None)


def test_unknown_class_raises_with_its_row():
    names = np.array(["cat", "owl"], dtype=object)
    with pytest.raises(
        ValueError, match=r"Row 1: class 'owl' is not one of the known classes \['c"
    ):
        encode_classes(names, ["cat", "dog"])


@pytest.mark.parametrize("y", [Y, Y[COORDINATES]], ids=["classes", "boxes only"])
def test_table_has_the_columns_of_y_and_the_images(y):
    table = make_table(PATHS, check_targets(y, 2))
    pd.testing.assert_frame_equal(table.drop(columns="image"), y, check_dtype=False)
    assert table["image"].tolist() == PATHS
