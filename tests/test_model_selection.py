"""Folds and the validation split: stratified, with each image in one part."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.model_selection import cross_validate

from skbbox import (
    TARGET_COLUMNS,
    DummyLocalizer,
    StratifiedBoxKFold,
    StratifiedGroupBoxKFold,
    box_scorer,
)
from skbbox.exceptions import BoxError
from skbbox.model_selection import split_train_validation

# 12 cats, 6 dogs and 3 owls, in this order.
CLASSES = ["cat"] * 12 + ["dog"] * 6 + ["owl"] * 3
Y = pd.DataFrame({"class_name": CLASSES, "x_min": 0.0, "x_max": 0.5, "y_min": 0.0, "y_max": 1.0})
PATHS = [f"{row}.jpg" for row in range(21)]
# Three rows per image: rows 0, 7 and 14 show image 0, and so on.
REPEATED = [f"{row % 7}.jpg" for row in range(21)]
SPLITTERS = [StratifiedBoxKFold, StratifiedGroupBoxKFold]


def as_structured(frame):
    return frame.astype({"class_name": object}).to_records(index=False)


# ---------------------------------------------------------------- stratification


@pytest.mark.parametrize("make", [lambda y: y, as_structured], ids=["DataFrame", "records"])
@pytest.mark.parametrize("shuffle", [{}, {"shuffle": True, "random_state": 0}], ids=str)
@pytest.mark.parametrize("splitter", SPLITTERS)
def test_every_fold_has_each_class_in_proportion(splitter, shuffle, make):
    for _, test in splitter(3, **shuffle).split(PATHS, make(Y)):
        # A third of 12, 6 and 3.
        assert Y["class_name"].iloc[test].value_counts().to_dict() == {"cat": 4, "dog": 2, "owl": 1}


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_every_row_is_in_one_test_set_and_otherwise_in_training(splitter):
    folds = list(splitter(3).split(PATHS, Y))
    assert sorted(np.concatenate([test for _, test in folds]).tolist()) == list(range(21))
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(21))


@pytest.mark.parametrize("splitter", SPLITTERS)
@pytest.mark.parametrize("classes", [[3, 1, 2], [True, False, True]])
def test_classes_need_not_be_text(splitter, classes):
    y = Y.assign(class_name=np.repeat(classes, 7))
    for _, test in splitter(7).split(PATHS, y):
        assert sorted(y["class_name"].iloc[test].tolist()) == sorted(classes)


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_shuffled_folds_follow_their_random_state(splitter):
    def tests(seed):
        folds = splitter(3, shuffle=True, random_state=seed).split(PATHS, Y)
        return [test.tolist() for _, test in folds]

    assert tests(0) == tests(0) != tests(1)


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_boxes_without_classes_raise_with_the_splitter_to_use(splitter):
    with pytest.raises(BoxError, match="class_name in y; use KFold or GroupKFold"):
        next(splitter(3).split(PATHS, Y.drop(columns="class_name")))


SIDES = list(TARGET_COLUMNS[1:])
#: 21 rows: nine cats and three dogs with a box, three cats without, three boxes without a class,
#: and three images without an object.
PARTIAL = Y.assign(
    class_name=["cat"] * 9 + ["dog"] * 3 + ["cat"] * 3 + [None] * 6,
    kind=["cat"] * 9 + ["dog"] * 3 + ["cat only"] * 3 + ["box only"] * 3 + ["nothing"] * 3,
)
PARTIAL.loc[[12, 13, 14, 18, 19, 20], SIDES] = np.nan


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("splitter", SPLITTERS)
def test_rows_without_labels_are_in_every_fold_in_proportion(splitter, missing):
    y = PARTIAL.assign(class_name=[missing if pd.isna(n) else n for n in PARTIAL["class_name"]])
    for _, test in splitter(3).split(PATHS, y):
        assert y["kind"].iloc[test].value_counts().to_dict() == {
            "cat": 3,
            "dog": 1,
            "cat only": 1,
            "box only": 1,
            "nothing": 1,
        }


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_boxes_without_classes_are_stratified_by_images_without_an_object(splitter):
    y = Y[SIDES].copy()
    y.iloc[:6] = np.nan
    for _, test in splitter(3).split(PATHS, y):
        assert (test < 6).sum() == 2


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_different_lengths_raise(splitter):
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[20, 21"):
        next(splitter(3).split(PATHS[:20], Y))


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_number_of_splits_is_the_parameter(splitter):
    assert splitter(4).get_n_splits(PATHS, Y) == 4


# ---------------------------------------------------------------- groups


def select(rows, labels):
    """Set of the labels of some rows."""
    return set(np.asarray(labels)[rows].tolist())


@pytest.mark.parametrize(
    "make",
    [list, np.array, pd.Series, lambda paths: pd.DataFrame({"image": paths})],
    ids=["list", "array", "Series", "DataFrame"],
)
def test_rows_of_one_image_stay_together_without_groups(make):
    for train, test in StratifiedGroupBoxKFold(3).split(make(REPEATED), Y):
        assert select(train, REPEATED).isdisjoint(select(test, REPEATED))


def test_folds_without_groups_separate_rows_of_one_image():
    train, test = next(StratifiedBoxKFold(3).split(REPEATED, Y))
    assert not select(train, REPEATED).isdisjoint(select(test, REPEATED))


@pytest.mark.parametrize(
    "groups",
    [
        pytest.param([row // 3 for row in range(21)], id="numbers"),
        pytest.param([f"scene {row % 5}" for row in range(21)], id="text"),
        pytest.param(pd.Series(list("abcdefg") * 3, index=range(50, 71)), id="Series"),
    ],
)
def test_rows_of_one_group_stay_together(groups):
    for train, test in StratifiedGroupBoxKFold(3).split(PATHS, Y, groups=groups):
        assert select(train, groups).isdisjoint(select(test, groups))


def test_each_array_is_its_own_group():
    pixels = np.zeros((21, 4, 4, 3), dtype=np.uint8)
    folds = StratifiedGroupBoxKFold(3).split(pixels, Y)
    assert [len(test) for _, test in folds] == [7, 7, 7]


# ---------------------------------------------------------------- inside scikit-learn


@pytest.mark.parametrize("routing", [False, True], ids=["plain", "metadata routing"])
@pytest.mark.parametrize("splitter", SPLITTERS)
def test_cross_validate_accepts_the_splitter(splitter, routing):
    with sklearn.config_context(enable_metadata_routing=routing):
        found = cross_validate(DummyLocalizer("full"), PATHS, Y, cv=splitter(3), scoring=box_scorer)
    # Each box is the left half of the image; the most frequent class is cat, 4 of 7.
    np.testing.assert_allclose(found["test_mean_iou"], [0.5] * 3)
    np.testing.assert_allclose(found["test_localization_accuracy"], [4 / 7] * 3)


@pytest.mark.parametrize(
    ("groups", "labels"),
    [(None, REPEATED), ([row // 3 for row in range(21)], [row // 3 for row in range(21)])],
    ids=["images", "groups"],
)
@pytest.mark.parametrize("routing", [False, True], ids=["plain", "metadata routing"])
def test_cross_validate_keeps_groups_together(groups, labels, routing):
    with sklearn.config_context(enable_metadata_routing=routing):
        given = {} if groups is None else {"params": {"groups": groups}}
        if groups is not None and not routing:
            given = {"groups": groups}
        found = cross_validate(
            DummyLocalizer(),
            REPEATED,
            Y,
            cv=StratifiedGroupBoxKFold(3),
            return_indices=True,
            **given,
        )
    for train, test in zip(found["indices"]["train"], found["indices"]["test"], strict=True):
        assert select(train, labels).isdisjoint(select(test, labels))


# ---------------------------------------------------------------- validation split


def split(strata, groups, fraction=0.25, seed=0):
    return split_train_validation(strata, groups, fraction, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(5))
def test_validation_rows_have_each_stratum_in_proportion(seed):
    # A quarter of 40, 20 and 8.
    strata = ["cat"] * 40 + ["dog"] * 20 + ["owl"] * 8
    _, validation = split(strata, range(68), 0.25, seed)
    assert pd.Series(strata).iloc[validation].value_counts().to_dict() == {
        "cat": 10,
        "dog": 5,
        "owl": 2,
    }


@pytest.mark.parametrize("seed", range(5))
def test_stratum_that_does_not_divide_evenly_differs_by_less_than_one(seed):
    # 0.2 x 33 = 6.6, 0.2 x 14 = 2.8, 0.2 x 3 = 0.6; the sum is 10.
    strata = ["cat"] * 33 + ["dog"] * 14 + ["owl"] * 3
    _, validation = split(strata, range(50), 0.2, seed)
    counts = pd.Series(strata).iloc[validation].value_counts().reindex(["cat", "dog", "owl"])
    assert len(validation) == 10
    assert (np.abs(counts.fillna(0) - [6.6, 2.8, 0.6]) < 1).all()


def test_every_row_is_in_one_part():
    train, validation = split(CLASSES, PATHS)
    assert sorted([*train, *validation]) == list(range(21))


def test_rows_are_sorted():
    for part in split(CLASSES, PATHS):
        assert part.tolist() == sorted(part)


@pytest.mark.parametrize("seed", range(5))
def test_validation_split_keeps_groups_together(seed):
    train, validation = split(CLASSES, REPEATED, 0.3, seed)
    assert select(train, REPEATED).isdisjoint(select(validation, REPEATED))
    # 0.3 x 7 images = 2.1, and each has three rows.
    assert len(validation) == 6


@pytest.mark.parametrize("seed", range(5))
def test_strata_count_groups_and_not_rows(seed):
    # 8 cat images with five rows each, then 8 dog images with one: a quarter is 2 of each.
    strata = ["cat"] * 40 + ["dog"] * 8
    groups = [*np.repeat(range(8), 5), *range(8, 16)]
    _, validation = split(strata, groups, 0.25, seed)
    counts = pd.Series(strata).iloc[validation].value_counts().to_dict()
    assert counts == {"cat": 10, "dog": 2}


def test_same_seed_gives_the_same_rows():
    assert [part.tolist() for part in split(CLASSES, PATHS, seed=3)] == [
        part.tolist() for part in split(CLASSES, PATHS, seed=3)
    ]


def test_another_seed_gives_other_rows():
    assert split(CLASSES, PATHS, seed=3)[1].tolist() != split(CLASSES, PATHS, seed=4)[1].tolist()


@pytest.mark.parametrize(
    ("n", "fraction", "expected"),
    [(2, 0.01, 1), (2, 0.99, 1), (5, 0.01, 1), (5, 0.99, 4), (10, 0.5, 5)],
)
def test_both_parts_have_at_least_one_group(n, fraction, expected):
    train, validation = split(["cat"] * n, range(n), fraction)
    assert (len(train), len(validation)) == (n - expected, expected)


def test_groups_of_text_and_numbers_are_distinguished():
    # Images.keys gives such groups for a list of paths and arrays: "1" is a path and 1 a row.
    train, validation = split(["cat"] * 2, ["1", 1], 0.5)
    assert (len(train), len(validation)) == (1, 1)


@pytest.mark.parametrize("rows", [1, 5])
def test_one_group_raises(rows):
    with pytest.raises(ValueError, match="at least two different images"):
        split(["cat"] * rows, ["a.jpg"] * rows)
