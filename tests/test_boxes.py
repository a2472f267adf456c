"""Boxes and measures, compared with values worked out by hand and with counted pixels."""

import re

import numpy as np
import pandas as pd
import pytest

from skbbox import (
    TARGET_COLUMNS,
    from_xyxy,
    giou,
    iou,
    iou_at,
    iou_matrix,
    localization_accuracy,
    mean_iou,
    to_xyxy,
)
from skbbox.boxes import as_boxes, as_class_names, check_boxes
from skbbox.exceptions import BoxError

FULL = (0.0, 1.0, 0.0, 1.0)
MIDDLE = (0.25, 0.75, 0.25, 0.75)
TOP_LEFT = (0.0, 0.5, 0.0, 0.5)
NAN, INF = float("nan"), float("inf")

# Three true boxes that fill the image, and predictions inside it: the IoU is the area of the
# prediction, 1, 0.5 and 0.25.
TRUE = pd.DataFrame([("cat", *FULL), ("cat", *FULL), ("dog", *FULL)], columns=TARGET_COLUMNS)
PREDICTED = pd.DataFrame(
    [("cat", *FULL), ("dog", 0.0, 0.5, 0.0, 1.0), ("dog", *MIDDLE)], columns=TARGET_COLUMNS
)


def structured(frame):
    kinds = [("class_name", "U8"), *((name, np.float64) for name in TARGET_COLUMNS[1:])]
    return np.array([tuple(row) for row in frame[list(TARGET_COLUMNS)].to_numpy()], dtype=kinds)


# The same three boxes in each type that a table of boxes may have.
TABLES = {
    "DataFrame": lambda frame: frame,
    "DataFrame with columns in another order": lambda frame: frame[list(frame.columns[::-1])],
    "DataFrame with another index": lambda frame: frame.set_axis([7, 7, -1]),
    "structured array": structured,
    "record array": lambda frame: structured(frame).view(np.recarray),
    "object array, class first": lambda frame: frame.to_numpy(dtype=object),
    "object array, class first, confidences last": lambda frame: frame.assign(
        class_confidence=0.9, box_confidence=0.8
    ).to_numpy(dtype=object),
    "list of rows, class first": lambda frame: frame.to_numpy(dtype=object).tolist(),
    "list of rows, label last": lambda frame: [
        (*row[1:], row[0]) for row in frame.itertuples(index=False)
    ],
}
TABLES_WITH_CLASS = {name: make for name, make in TABLES.items() if "label last" not in name}


# ---------------------------------------------------------------- iou


def test_iou_of_the_chapters_example_is_exact():
    # Widths 0.5 and 0.2, heights 0.3; overlap 0.2 x 0.2: 0.04 / (0.15 + 0.06 - 0.04) = 4/17.
    assert iou((0.2, 0.7, 0.3, 0.6), (0.4, 0.6, 0.2, 0.5)) == 0.23529411764705882


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param(FULL, FULL, 1.0, id="same"),
        pytest.param(FULL, MIDDLE, 0.25, id="nested: 0.25 / 1"),
        pytest.param(MIDDLE, FULL, 0.25, id="nested, the other way round"),
        # Overlap 0.25 x 0.25 = 1/16; union 1/4 + 1/4 - 1/16 = 7/16.
        pytest.param(TOP_LEFT, MIDDLE, 1 / 7, id="overlapping corners"),
        pytest.param(TOP_LEFT, (0.5, 1.0, 0.0, 0.5), 0.0, id="touching at an edge"),
        pytest.param(TOP_LEFT, (0.5, 1.0, 0.5, 1.0), 0.0, id="touching at a corner"),
        pytest.param((0, 0.2, 0, 0.2), (0.7, 0.9, 0.7, 0.9), 0.0, id="disjoint in x and y"),
        pytest.param((0, 0.2, 0, 1), (0.7, 0.9, 0, 1), 0.0, id="disjoint only in x"),
        pytest.param((0, 1, 0, 0.2), (0, 1, 0.7, 0.9), 0.0, id="disjoint only in y"),
        pytest.param((0.5, 0.5, 0, 1), FULL, 0.0, id="line in a box"),
        pytest.param((0.5, 0.5, 0, 1), (0.5, 0.5, 0, 1), 0.0, id="line with itself"),
        pytest.param((0.5, 0.5, 0.5, 0.5), (0.5, 0.5, 0.5, 0.5), 0.0, id="point with itself"),
        # In pixels: overlap 10 x 10 = 100; union 400 + 400 - 100 = 700.
        pytest.param((0, 20, 0, 20), (10, 30, 10, 30), 1 / 7, id="pixels"),
        # 100000 x 100000 is more than an int32 holds; half of it is covered.
        pytest.param((0, 100_000) * 2, (0, 100_000, 0, 50_000), 0.5, id="large pixels"),
    ],
)
def test_iou_of_two_boxes(a, b, expected):
    assert iou(a, b) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("measure", [iou, giou])
def test_measure_of_two_single_boxes_is_a_plain_float(measure):
    assert type(measure(np.array(FULL), np.array(MIDDLE))) is float


def test_iou_of_int32_pixels_does_not_overflow():
    boxes = np.array([[0, 100_000, 0, 100_000]], dtype=np.int32)
    np.testing.assert_array_equal(iou(boxes, boxes), [1.0])


@pytest.mark.parametrize("measure", [iou, giou])
def test_fifth_entry_is_a_label_and_ignored(measure):
    assert measure((*FULL, "cat"), (*MIDDLE, 3)) == measure(FULL, MIDDLE) == 0.25


@pytest.mark.parametrize("measure", [iou, giou, iou_matrix])
@pytest.mark.parametrize(
    ("box", "message"),
    [
        pytest.param((0.6, 0.4, 0, 1), r"Row 0: the box is inverted.*x_min=0.6", id="x inverted"),
        pytest.param((0, 1, 0.6, 0.4), r"Row 0: the box is inverted.*y_max=0.4", id="y inverted"),
        pytest.param((NAN, 1, 0, 1), "Row 0: a coordinate is missing", id="NaN"),
        pytest.param((0, INF, 0, 1), "Row 0: a coordinate is missing or not finite", id="inf"),
        pytest.param((None, 1, 0, 1), "Row 0: a coordinate is missing", id="None"),
        pytest.param((0, 1, 0), "four numbers", id="three numbers"),
        pytest.param((0, 1, "wide", 1), "Row 0: y_min is not a number.*'wide'", id="text"),
    ],
)
def test_invalid_box_raises_on_either_side(measure, box, message):
    with pytest.raises(BoxError, match=message):
        measure(box, FULL)
    with pytest.raises(BoxError, match=message):
        measure(FULL, box)


@pytest.mark.parametrize("measure", [iou, giou, iou_matrix])
def test_rows_of_different_lengths_raise_with_their_shape(measure):
    rows = [FULL, FULL, FULL, FULL, (*FULL, "cat")]
    with pytest.raises(BoxError, match=r"Received an array of shape \(5,\)"):
        measure(rows, FULL)


def test_error_names_the_first_wrong_row_and_counts_the_others():
    boxes = [FULL, (0.6, 0.4, 0, 1), FULL, (0.9, 0.1, 0, 1)]
    with pytest.raises(BoxError, match=r"Row 1: .*\(1 more rows like it\)"):
        iou(boxes, FULL)


@pytest.mark.parametrize("measure", [iou, giou])
@pytest.mark.parametrize("pair", [(FULL, [FULL, MIDDLE]), ([FULL, MIDDLE], [FULL])])
def test_one_box_is_paired_with_every_box(measure, pair):
    np.testing.assert_allclose(measure(*pair), [1.0, 0.25])


@pytest.mark.parametrize("measure", [iou, giou])
def test_lengths_that_cannot_be_paired_raise(measure):
    with pytest.raises(BoxError, match="Received 2 and 3 boxes"):
        measure([FULL] * 2, [FULL] * 3)


@pytest.mark.parametrize("empty", [[], np.empty((0, 4)), TRUE.iloc[:0]], ids=type)
@pytest.mark.parametrize("measure", [iou, giou])
def test_no_boxes_give_an_empty_array(measure, empty):
    assert measure(empty, empty).shape == (0,)


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_iou_accepts_each_type_of_table(make):
    np.testing.assert_allclose(iou(make(TRUE), make(PREDICTED)), [1.0, 0.5, 0.25])


@pytest.mark.parametrize(
    "row",
    [PREDICTED.iloc[1], structured(PREDICTED)[1], PREDICTED.to_numpy()[1, 1:]],
    ids=["Series", "structured", "array"],
)
def test_one_row_of_a_table_is_a_single_box(row):
    value = iou(row, FULL)
    assert type(value) is float
    assert value == 0.5


def test_rows_are_paired_by_position_not_by_index():
    np.testing.assert_allclose(iou(TRUE, PREDICTED.set_axis([2, 1, 0])), [1.0, 0.5, 0.25])


# ---------------------------------------------------------------- giou


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param(FULL, FULL, 1.0, id="same"),
        # The hull is the outer box, which is also the union: nothing is subtracted.
        pytest.param(FULL, MIDDLE, 0.25, id="nested"),
        # IoU 1/7; hull 0.75^2 = 9/16, union 7/16: 1/7 - 2/9 = -5/63.
        pytest.param(TOP_LEFT, MIDDLE, -5 / 63, id="overlapping corners"),
        # The hull is the union.
        pytest.param((0, 0.5, 0, 1), (0.5, 1, 0, 1), 0.0, id="touching along an edge"),
        # Hull 1, union 1/2.
        pytest.param(TOP_LEFT, (0.5, 1, 0.5, 1), -0.5, id="touching at a corner"),
        # Hull 1, union 1/2.
        pytest.param((0, 0.25, 0, 1), (0.75, 1, 0, 1), -0.5, id="apart in x"),
        # Hull 0.6^2 = 0.36, union 2 x 0.2^2 = 0.08: -0.28 / 0.36.
        pytest.param((0.2, 0.4, 0.2, 0.4), (0.6, 0.8, 0.6, 0.8), -7 / 9, id="away from 0"),
        # Hull 1, union 2/16.
        pytest.param((0, 0.25, 0, 0.25), (0.75, 1, 0.75, 1), -0.875, id="apart in x and y"),
        pytest.param((0.5,) * 4, (0.5,) * 4, 0.0, id="point with itself"),
        # Hull 1, union 0.
        pytest.param((0, 0, 0, 0), (1, 1, 1, 1), -1.0, id="two points"),
    ],
)
def test_giou_of_two_boxes(a, b, expected):
    assert giou(a, b) == pytest.approx(expected, abs=1e-15)


# ---------------------------------------------------------------- iou_matrix


def test_iou_matrix_agrees_with_counted_pixels():
    def mask(box):
        pixels = np.zeros((24, 24), dtype=bool)
        pixels[box[2] : box[3], box[0] : box[1]] = True
        return pixels

    rng = np.random.default_rng(0)
    # Integer edges 0..24, sorted by pair: some boxes are empty, many overlap, others do not.
    a, b = (np.sort(rng.integers(0, 25, (n, 2, 2)), axis=2).reshape(n, 4) for n in (40, 30))
    shared = np.array([[(mask(i) & mask(j)).sum() for j in b] for i in a])
    either = np.array([[(mask(i) | mask(j)).sum() for j in b] for i in a])
    # If both are empty, no pixel is shared, and the IoU is 0.
    expected = shared / np.maximum(either, 1)
    np.testing.assert_allclose(iou_matrix(a / 24, b / 24), expected, rtol=1e-12, atol=1e-12)


def test_iou_matrix_has_a_row_for_each_box_of_a():
    expected = [[1.0, 0.25, 0.25], [0.25, 1.0, 1 / 7]]
    np.testing.assert_allclose(iou_matrix([FULL, MIDDLE], [FULL, MIDDLE, TOP_LEFT]), expected)


@pytest.mark.parametrize(("n_a", "n_b"), [(0, 2), (2, 0), (0, 0)])
def test_iou_matrix_of_no_boxes_keeps_its_shape(n_a, n_b):
    assert iou_matrix([FULL] * n_a, [FULL] * n_b).shape == (n_a, n_b)


# ---------------------------------------------------------------- means over a table


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_mean_iou_accepts_each_type_of_table(make):
    # (1 + 0.5 + 0.25) / 3
    assert mean_iou(make(TRUE), make(PREDICTED)) == pytest.approx(1.75 / 3)


def test_mean_iou_accepts_arrays_without_classes():
    coordinates = list(TARGET_COLUMNS[1:])
    predicted = PREDICTED[coordinates].to_numpy()
    assert mean_iou(TRUE[coordinates].to_numpy(), predicted) == pytest.approx(1.75 / 3)


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.2, 1.0), (0.25, 1.0), (0.5, 2 / 3), (0.51, 1 / 3), (1.0, 1 / 3)]
)
def test_iou_at_includes_the_threshold(threshold, expected):
    # IoU 1, 0.5, 0.25.
    assert iou_at(TRUE, PREDICTED, threshold=threshold) == pytest.approx(expected)


def test_default_threshold_of_iou_at_is_one_half():
    assert iou_at(TRUE, PREDICTED) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.5, 1 / 3), (0.25, 2 / 3), (1.0, 1 / 3), (0.0, 2 / 3)]
)
def test_localization_accuracy_needs_the_class_and_the_box(threshold, expected):
    # Classes right in rows 0 and 2, IoU 1, 0.5, 0.25.
    accuracy = localization_accuracy(TRUE, PREDICTED, threshold=threshold)
    assert accuracy == pytest.approx(expected)


@pytest.mark.parametrize("make", TABLES_WITH_CLASS.values(), ids=TABLES_WITH_CLASS)
def test_localization_accuracy_accepts_each_type_with_a_class(make):
    assert localization_accuracy(TRUE, make(PREDICTED)) == pytest.approx(1 / 3)


def test_localization_accuracy_accepts_numeric_classes_with_a_confidence():
    # cross_val_predict turns integer classes into a float array of six columns.
    true = TRUE.assign(class_name=[1, 1, 2])
    predicted = PREDICTED.assign(class_name=[1, 2, 2], class_confidence=0.5)
    predicted = predicted.to_numpy(dtype=np.float64)
    assert localization_accuracy(true, predicted) == pytest.approx(1 / 3)


@pytest.mark.parametrize("without", ["y_true", "y_pred"])
def test_localization_accuracy_without_classes_names_the_side_and_iou_at(without):
    tables = {"y_true": TRUE, "y_pred": PREDICTED}
    tables[without] = tables[without].drop(columns="class_name")
    message = (
        f"localization_accuracy compares classes, but {without} has no class_name; use iou_at for "
        "boxes without classes."
    )
    with pytest.raises(BoxError, match=f"^{message}$"):
        localization_accuracy(**tables)


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        # (1 x 1 + 0 x 0.5 + 3 x 0.25) / 4
        (mean_iou, 1.75 / 4),
        # (1 x 1 + 0 x 1 + 3 x 0) / 4
        (iou_at, 1 / 4),
        (localization_accuracy, 1 / 4),
    ],
)
def test_sample_weight_weights_the_rows(measure, expected):
    assert measure(TRUE, PREDICTED, sample_weight=[1, 0, 3]) == pytest.approx(expected)


def test_sample_weight_may_be_a_series_of_objects():
    assert mean_iou(TRUE, PREDICTED, sample_weight=pd.Series([1, 0, 3], dtype=object)) == 1.75 / 4


@pytest.mark.parametrize("measure", [mean_iou, iou_at, localization_accuracy])
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        pytest.param([1, 1], r"each of the 3 rows. Received shape \(2,\)", id="too short"),
        pytest.param(
            [0, 0, 0],
            "^sample_weight is zero in every row; at least one weight must be positive",
            id="zero",
        ),
        pytest.param([2, -1, 1], r"must be finite .* Received: -1.0 in row 1\.$", id="negative"),
        pytest.param([1, 1, NAN], r"must be finite .* Received: nan in row 2\.$", id="NaN"),
    ],
)
def test_invalid_sample_weight_raises(measure, weight, message):
    with pytest.raises(ValueError, match=message):
        measure(TRUE, PREDICTED, sample_weight=weight)


@pytest.mark.parametrize("measure", [mean_iou, iou_at, localization_accuracy])
def test_mean_of_no_rows_raises(measure):
    with pytest.raises(BoxError, match=r"^There are no boxes to compare: y_true has 0 rows\.$"):
        measure(TRUE.iloc[:0], PREDICTED.iloc[:0])


@pytest.mark.parametrize("measure", [mean_iou, iou_at, localization_accuracy])
def test_one_prediction_for_several_rows_raises(measure):
    with pytest.raises(BoxError, match="Received 3 and 1 rows"):
        measure(TRUE, PREDICTED.iloc[:1])


# ---------------------------------------------------------------- as_boxes, as_class_names


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_as_boxes_gives_one_order_for_each_type(make):
    expected = [FULL, (0.0, 0.5, 0.0, 1.0), MIDDLE]
    np.testing.assert_array_equal(as_boxes(make(PREDICTED)), expected)


def test_as_boxes_of_nothing_has_four_columns():
    assert as_boxes([]).shape == (0, 4)


@pytest.mark.parametrize("shape", [(3, 3), (2, 1, 4)])
def test_as_boxes_raises_for_an_invalid_shape(shape):
    message = (
        f"A box is four numbers x_min, x_max, y_min, y_max. Received an array of shape {shape}"
    )
    with pytest.raises(BoxError, match=f"^{re.escape(message)}"):
        as_boxes(np.zeros(shape))


def test_as_boxes_raises_for_a_column_of_dates():
    # A spreadsheet may turn 1.5 into a date.
    with pytest.raises(BoxError, match=r"Row 0: x_max is not a number\. Received: Timestamp"):
        as_boxes(TRUE.assign(x_max=pd.Timestamp("2024-05-01")))


def test_as_boxes_reads_missing_values_of_pandas_as_nan():
    boxes = as_boxes(TRUE.assign(x_max=pd.array([1.0, pd.NA, 1.0], dtype="Float64")))
    np.testing.assert_array_equal(boxes[:, 1], [1.0, NAN, 1.0])


def test_as_boxes_names_the_columns_that_are_missing():
    with pytest.raises(BoxError, match=r"missing: \['x_max', 'y_max'\]"):
        as_boxes(TRUE.drop(columns=["x_max", "y_max"]))


@pytest.mark.parametrize("make", TABLES_WITH_CLASS.values(), ids=TABLES_WITH_CLASS)
def test_as_class_names_finds_the_class_in_each_type(make):
    names = as_class_names(make(PREDICTED))
    assert names.dtype == object
    assert names.tolist() == ["cat", "dog", "dog"]


@pytest.mark.parametrize(
    "boxes",
    [TRUE.drop(columns="class_name"), [FULL, MIDDLE], [(*FULL, "cat")], FULL, []],
    ids=["DataFrame", "rows", "rows with a label", "one box", "nothing"],
)
def test_as_class_names_is_none_without_a_class(boxes):
    assert as_class_names(boxes) is None


# ---------------------------------------------------------------- check_boxes


@pytest.mark.parametrize("overshoot", [1e-6, 1e-7, 1e-12])
def test_tiny_overshoot_is_clipped(overshoot):
    checked = check_boxes([(-overshoot, 1 + overshoot, -overshoot, 1 + overshoot)])
    np.testing.assert_array_equal(checked, [FULL])


@pytest.mark.parametrize(
    ("box", "message"),
    [
        pytest.param((-1.1e-6, 1, 0, 1), "outside the image", id="beyond 0"),
        pytest.param((0, 1 + 1.1e-6, 0, 1), "outside the image", id="beyond 1"),
        pytest.param((0, 1, 0, 1.5), "outside the image", id="well beyond 1"),
        pytest.param((10, 200, 20, 180), "pixel coordinates; divide x by", id="pixels"),
        pytest.param((0, 2, 0, 1), "pixel coordinates", id="two pixels"),
        pytest.param((0, 1, -30, 1), "pixel coordinates", id="negative pixels"),
        pytest.param((0.1, 4.29, 0.3, 0.6), "outside the image", id="far beyond 1"),
        pytest.param((0.5, 60.2, 10, 50), "pixel coordinates", id="fraction of a pixel"),
        pytest.param((0.7, 0.2, 0.3, 0.6), "inverted; the order is x_min, x_max", id="inverted x"),
        pytest.param((0.2, 0.7, 0.6, 0.3), "inverted", id="inverted y"),
        pytest.param((0.5, 0.5, 0, 1), "empty; its width or height is 0", id="no width"),
        pytest.param((0, 1, 0.5, 0.5), "empty", id="no height"),
        pytest.param((1, 1 + 5e-7, 0, 1), "empty", id="empty once clipped"),
        pytest.param((NAN, 1, 0, 1), "missing or not finite; drop the row or add", id="NaN"),
        pytest.param((0, 1, None, 1), "missing or not finite", id="None"),
        pytest.param((0, INF, 0, 1), "missing or not finite", id="inf"),
        pytest.param((0, 1, 0, "tall"), "y_max is not a number.*'tall'", id="text"),
    ],
)
def test_check_boxes_raises_and_names_the_row(box, message):
    with pytest.raises(BoxError, match=f"Row 1: .*{message}"):
        check_boxes([FULL, box, MIDDLE])


@pytest.mark.parametrize(
    ("box", "reason", "received"),
    [
        (
            (NAN, 1, 0, 1),
            "a coordinate is missing or not finite; drop the row or add its box",
            "x_min=nan, x_max=1, y_min=0, y_max=1",
        ),
        (
            (10, 200, 20, 180),
            "these look like pixel coordinates; divide x by the image's width and y by its height, "
            "because boxes are normalised to 0..1",
            "x_min=10, x_max=200, y_min=20, y_max=180",
        ),
        (
            (0, 1.5, 0, 1),
            "an edge lies outside the image, that is outside 0..1, by 0.5 of its side; clip the "
            "box or correct it",
            "x_min=0, x_max=1.5, y_min=0, y_max=1",
        ),
        # A corner of 999 pixels in an image of 233, where the other edges are those of the image.
        (
            (0, 999 / 233, 0, 1),
            "an edge lies outside the image, that is outside 0..1, by 3.29 of its side; clip the "
            "box or correct it",
            "x_min=0, x_max=4.28755, y_min=0, y_max=1",
        ),
        (
            (0.7, 0.2, 0.3, 0.6),
            "the box is inverted; the order is x_min, x_max, y_min, y_max",
            "x_min=0.7, x_max=0.2, y_min=0.3, y_max=0.6",
        ),
        (
            (0.5, 0.5, 0, 1),
            "the box is empty; its width or height is 0",
            "x_min=0.5, x_max=0.5, y_min=0, y_max=1",
        ),
    ],
)
def test_error_of_check_boxes_has_row_reason_fix_and_values(box, reason, received):
    with pytest.raises(BoxError) as error:
        check_boxes([FULL, box])
    assert str(error.value) == f"Row 1: {reason}. Received: {received}."


def test_check_boxes_does_not_change_valid_boxes():
    np.testing.assert_array_equal(check_boxes([FULL, MIDDLE]), [FULL, MIDDLE])


def test_check_boxes_does_not_write_into_its_input():
    boxes = np.array([(-5e-7, 1.0, 0.0, 1.0)])
    boxes.setflags(write=False)
    assert check_boxes(boxes)[0, 0] == 0.0


# The first row of an array that cross_val_predict makes of predictions.
@pytest.mark.parametrize(
    "row",
    [
        pytest.param((0.1, 0.5, 0.2, 0.9), id="boxes only"),
        pytest.param((0.1, 0.5, 0.2, 0.9, 0.8), id="boxes, box confidence"),
        pytest.param((0.1, 0.5, 0.2, 0.9, "b.jpg is empty"), id="boxes, error"),
        pytest.param((0.1, 0.5, 0.2, 0.9, NAN), id="boxes, no error"),
        pytest.param((0.1, 0.5, 0.2, 0.9, 0.8, "b.jpg is empty"), id="boxes, confidence, error"),
        pytest.param((0.1, 0.5, 0.2, 0.9, 0.8, None), id="boxes, confidence, no error"),
        # pandas stores a missing text as NaN.
        pytest.param((0.1, 0.5, 0.2, 0.9, 0.8, NAN), id="boxes, confidence, NaN as no error"),
        pytest.param(("cat", 0.1, 0.5, 0.2, 0.9, None), id="class, boxes, no error"),
        pytest.param((3, 0.1, 0.5, 0.2, 0.9, 0.7), id="numeric class, one confidence"),
        pytest.param((3, 0.1, 0.5, 0.2, 0.9, 0.7, 0.8), id="numeric class, two confidences"),
        pytest.param((3, 0.1, 0.5, 0.2, 0.9, 0.7, NAN), id="numeric class, no error"),
        pytest.param((3, 0.1, 0.5, 0.2, 0.9, 0.7, 0.8, NAN), id="numeric class, all columns"),
    ],
)
def test_as_boxes_finds_the_coordinates_among_the_columns_of_predict(row):
    assert as_boxes(np.array([row], dtype=object)).tolist() == [[0.1, 0.5, 0.2, 0.9]]


# ---------------------------------------------------------------- from_xyxy, to_xyxy

# A box from x 0.2 to 0.7 and y 0.3 to 0.6, and one in pixels from x 8 to 24 and y 2 to 5.
OURS = [(0.2, 0.7, 0.3, 0.6), (8, 24, 2, 5)]
XYXY = [(0.2, 0.3, 0.7, 0.6), (8, 2, 24, 5)]


@pytest.mark.parametrize(
    ("convert", "boxes", "expected"), [(from_xyxy, XYXY, OURS), (to_xyxy, OURS, XYXY)]
)
@pytest.mark.parametrize("make", [list, np.array, lambda boxes: np.array(boxes, object)])
def test_conversion_reorders_the_coordinates(convert, boxes, expected, make):
    for given, converted in [(boxes, expected), (boxes[0], expected[0])]:
        result = convert(make(given))
        assert result.dtype == np.float64
        np.testing.assert_array_equal(result, converted, strict=True)


@pytest.mark.parametrize("convert", [from_xyxy, to_xyxy])
def test_conversion_of_no_boxes_has_four_columns(convert):
    assert convert([]).shape == convert(np.empty((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("convert", [from_xyxy, to_xyxy])
def test_conversion_returns_a_new_array(convert):
    boxes = np.array(FULL)
    convert(boxes)[:] = 7
    assert boxes.tolist() == list(FULL)


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_to_xyxy_accepts_each_type_of_table(make):
    expected = [(0, 0, 1, 1), (0, 0, 0.5, 1), (0.25, 0.25, 0.75, 0.75)]
    np.testing.assert_array_equal(to_xyxy(make(PREDICTED)), expected)


def test_to_xyxy_of_one_row_of_a_table_is_one_box():
    assert to_xyxy(PREDICTED.iloc[1]).tolist() == [0, 0, 0.5, 1]


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        pytest.param([0, 0, 1], r"shape \(3,\)", id="three numbers"),
        pytest.param([(0, 0, 1, 1, 0.9)], r"shape \(1, 5\)", id="five columns"),
        pytest.param(np.zeros((2, 1, 4)), r"shape \(2, 1, 4\)", id="three dimensions"),
        pytest.param([FULL, FULL[:3]], r"shape \(2,\)", id="ragged"),
        pytest.param(TRUE, "without column names.*Received: DataFrame", id="DataFrame"),
        pytest.param(TRUE.iloc[0], "without column names.*Received: Series", id="Series"),
        pytest.param(structured(TRUE), "Received: ndarray.*read by name", id="structured array"),
        pytest.param([(0, 0, 1, 1), (0.7, 0.3, 0.2, 0.6)], "Row 1: .*x_min, y_min, x_m", id="x"),
        pytest.param((0.2, 0.6, 0.7, 0.3), "inverted.*y_min=0.6, y_max=0.3", id="y inverted"),
        pytest.param((0, 0, NAN, 1), "not finite. Received: x_min=0, x_max=nan", id="NaN"),
        pytest.param((0, 0, INF, 1), "not finite. Received: x_min=0, x_max=inf", id="inf"),
        pytest.param((0, "top", 1, 1), "Row 0: y_min is not a number.*'top'", id="text"),
    ],
)
def test_from_xyxy_raises_for_other_arrays(boxes, message):
    with pytest.raises(BoxError, match=message):
        from_xyxy(boxes)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        pytest.param((0.6, 0.4, 0, 1), "inverted; the order is x_min, x_max, y_min", id="inverted"),
        pytest.param((0, NAN, 0, 1), "not finite. Received: x_min=0, x_max=nan", id="NaN"),
        pytest.param((0, 1, 0), "four numbers", id="three numbers"),
    ],
)
def test_to_xyxy_raises_for_an_invalid_box(box, message):
    with pytest.raises(BoxError, match=message):
        to_xyxy(box)
