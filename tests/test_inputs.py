"""Accepted types of X, y and sample_weight, and the errors for others."""

import datetime
import decimal
import enum
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.model_selection import cross_val_predict

from skbbox import TARGET_COLUMNS, DummyLocalizer
from skbbox.exceptions import BoxError, ImageError, SkbboxWarning
from skbbox.inputs import (
    check_images,
    check_sample_weight,
    check_targets,
    encode_classes,
    find_classes,
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


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Text(enum.StrEnum):
    RED = "r"
    BLUE = "b"


@pytest.mark.parametrize(
    ("names", "type_name", "conversion"),
    [
        ([pd.Timestamp("2020"), pd.Timestamp("2021")], "Timestamp", ".astype(str)"),
        ([np.datetime64("2020"), np.datetime64("2021")], "datetime64", ".astype(str)"),
        ([datetime.date(2020, 1, 1), datetime.date(2021, 1, 1)], "date", ".astype(str)"),
        ([pd.Interval(0, 1), pd.Interval(1, 2)], "Interval", ".astype(str)"),
        ([decimal.Decimal(1), decimal.Decimal(2)], "Decimal", ".astype(str)"),
        ([("a", 1), ("b", 2)], "tuple", ".astype(str)"),
        ([Path("a"), Path("b")], "PosixPath", ".astype(str)"),
        ([1j, 2j], "complex", ".astype(str)"),
        ([np.longdouble(1), np.longdouble(2)], "longdouble", ".astype(str)"),
        ([b"a", b"b"], "bytes", ".str.decode('utf-8')"),
        ([np.bytes_(b"a"), np.bytes_(b"b")], "bytes_", ".str.decode('utf-8')"),
        (["\udc80", "b"], "str", ".map(lambda name: name.encode('utf-8', 'replace').decode())"),
        ([Colour.RED, Colour.BLUE], "Colour", ".map(lambda name: name.value)"),
        ([Text.RED, Text.BLUE], "Text", ".map(lambda name: name.value)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_classes_that_a_file_cannot_hold_are_refused_with_a_conversion(
    names, type_name, conversion
):
    column = pd.Series([None, None], dtype=object)
    column[:] = names
    y = Y.assign(class_name=column)
    message = f"Row 0: class_name must be text.* of type {type_name}.*{re.escape(conversion)}"
    with pytest.raises(BoxError, match=message):
        check_targets(y, 2)
    # The conversion that the message shows.
    converted = eval(f"column{conversion}", {"column": column})
    assert len(set(check_targets(Y.assign(class_name=converted), 2).class_names)) == 2


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
            Y.assign(class_name=["cat", 3]), 2, "mixes text with other types", id="mixed classes"
        ),
        pytest.param(Y.assign(x_min=[0, np.nan]), 2, "Row 1: half a box", id="NaN"),
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


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA], ids=repr)
def test_rows_may_lack_class_box_or_both(missing):
    y = pd.DataFrame(
        [
            ("cat", 0.0, 0.5, 0.25, 0.75),
            ("cat", *[missing] * 4),
            (missing, 0.0, 0.5, 0.25, 0.75),
            (missing, *[missing] * 4),
        ],
        columns=TARGET_COLUMNS,
    )
    targets = check_targets(y, 4)
    assert targets.has_class.tolist() == [True, True, False, False]
    assert targets.has_box.tolist() == [True, False, True, False]
    assert targets.is_empty.tolist() == [False, False, False, True]


def test_rows_without_a_box_have_no_object_in_a_table_without_classes():
    y = pd.DataFrame([(0.0, 0.5, 0.25, 0.75), [np.nan] * 4], columns=COORDINATES)
    assert check_targets(y, 2).is_empty.tolist() == [False, True]


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "Float64"])
def test_classes_keep_their_type_among_missing_ones(dtype):
    y = Y.assign(class_name=pd.array([1, None], dtype=dtype))
    assert (
        find_classes(check_targets(y, 2).class_names).dtype == pd.array([1], dtype).to_numpy().dtype
    )


def test_row_in_the_message_is_a_position_not_a_label():
    y = Y.assign(x_min=[0, 0.9]).set_axis([100, 200])
    with pytest.raises(BoxError, match=r"Row 1 \(index 200\):"):
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
        ([1, 2, 3], r"each of the 2 rows. Received shape \(3,\)"),
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


# ---------------------------------------------------------------- messages about y


def test_message_names_index_label_and_file():
    images = check_images(pd.Series(["a.jpg", "c.jpg"], index=[0, 2]))
    y = Y.assign(x_max=[0.5, -0.5]).set_axis([0, 2])
    with pytest.raises(BoxError, match=r"Row 1 \(index 2, c.jpg\): an edge lies outside"):
        check_targets(y, 2, images)


def test_pair_of_classes_and_boxes_shows_the_table_to_build():
    pair = np.array(["a"] * 3, dtype=object), np.zeros((3, 4))
    with pytest.raises(BoxError, match=r"For a pair.*columns=.*assign\(class_name=classes\)"):
        check_targets(pair, 3)


def test_encoded_y_of_cross_val_predict_shows_the_way_round():
    with pytest.raises(BoxError, match=r"method='predict_proba'.*return_estimator=True"):
        cross_val_predict(DummyLocalizer(), PATHS, Y, cv=2, method="predict_proba")


@pytest.mark.parametrize("name", ["label", "Class", "category_id", "object_class"])
def test_classes_under_another_name_give_a_warning(name):
    with pytest.warns(SkbboxWarning, match=f"Its column '{name}' is ignored"):
        check_targets(Y.rename(columns={"class_name": name}), 2)


def test_other_columns_give_no_warning():
    check_targets(Y.drop(columns="class_name").assign(folder="a", class_confidence=1.0), 2)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "Int64"])
def test_numbers_and_bools_as_classes_keep_their_dtype(dtype):
    class_names = pd.Series([0, 1]).astype(dtype)
    targets = check_targets(Y.assign(class_name=class_names), 2)
    assert targets.class_names.dtype == dtype.lower()
