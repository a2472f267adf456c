"""Rows with wrong labels are ranked first."""

import joblib
import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer
from sklearn.model_selection import KFold, ShuffleSplit

from skbbox import TARGET_COLUMNS, DummyLocalizer, iou, rank_label_issues
from skbbox.datasets import make_shapes
from skbbox.exceptions import BoxError

SIDES = list(TARGET_COLUMNS[1:])


def one_epoch(**changes):
    return small_localizer(**({"epochs": 1} | changes))


@pytest.fixture(scope="module")
def issues(shapes):
    return rank_label_issues(one_epoch(), *shapes, cv=2)


def test_every_row_is_ranked_once_and_the_most_suspicious_first(issues, shapes):
    assert sorted(issues["row"]) == list(range(len(shapes[1])))
    assert (np.diff(issues["issue"]) <= 0).all()
    assert issues.index.tolist() == list(range(len(issues)))


def test_issues_agree_with_the_other_columns(issues, shapes):
    _, y = shapes
    given = y.iloc[issues["row"]]
    assert issues["class_name"].tolist() == given["class_name"].tolist()
    overlap = iou(given[SIDES].to_numpy(), issues[SIDES].to_numpy())
    np.testing.assert_allclose(issues["iou"], overlap)
    assert issues[["class_issue", "box_issue", "issue"]].to_numpy().min() >= 0
    assert issues[["class_issue", "box_issue", "issue"]].to_numpy().max() <= 1
    np.testing.assert_array_equal(issues["issue"], issues[["class_issue", "box_issue"]].max(axis=1))
    # Above 0.5, another class is more probable than the given one.
    differs = issues["class_name"] != issues["predicted_class"]
    np.testing.assert_array_equal(differs, issues["class_issue"] > 0.5)


def test_rows_are_predicted_by_a_fit_without_them(shapes):
    X, y = shapes
    folds = KFold(2)
    issues = rank_label_issues(one_epoch(), X, y, cv=folds).sort_values("row")
    train, test = next(folds.split(X))
    expected = one_epoch().fit(X[train], y.iloc[train]).predict(X[test])
    np.testing.assert_array_equal(issues[SIDES].to_numpy()[test], expected[SIDES])


@pytest.mark.parametrize(
    ("box_head", "confidence"), [("spatial", "box_confidence"), ("pooled", "class_confidence")]
)
def test_box_issue_uses_the_confidence_that_the_head_predicts(shapes, box_head, confidence):
    X, y = shapes
    estimator, folds = one_epoch(box_head=box_head), KFold(2)
    issues = rank_label_issues(estimator, X, y, cv=folds).sort_values("row")
    train, test = next(folds.split(X))
    predicted = estimator.fit(X[train], y.iloc[train]).predict(X[test])
    expected = (1 - iou(y[SIDES].iloc[test], predicted[SIDES])) * predicted[confidence]
    np.testing.assert_array_equal(issues["box_issue"].to_numpy()[test], expected)


def test_issues_of_the_baseline_are_those_worked_out_by_hand():
    X = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    y = pd.DataFrame(
        [
            ("cat", 0.0, 0.5, 0.0, 1.0),
            ("cat", 0.0, 1.0, 0.0, 1.0),
            ("dog", 0.0, 0.5, 0.0, 0.5),
            ("cat", 0.0, 1.0, 0.0, 1.0),
        ],
        columns=TARGET_COLUMNS,
    )
    issues = rank_label_issues(DummyLocalizer("full"), X, y, cv=KFold(2)).set_index("row")
    # Rows 0 and 1 are predicted from dog and cat: 1/2 each. Rows 2 and 3 from cat alone: 1 and 0.
    assert issues["class_issue"].sort_index().tolist() == [0.5, 0.5, 1.0, 0.0]
    # (1 - IoU) x the share of the class: (1 - 0.5) x 0.5, 0, (1 - 0.25) x 1, 0.
    assert issues["box_issue"].sort_index().tolist() == [0.25, 0.0, 0.75, 0.0]
    assert issues.index.tolist() == [2, 0, 1, 3]
    assert issues["image"].tolist() == ["c.jpg", "a.jpg", "b.jpg", "d.jpg"]


NOTHING = [np.nan] * 4
FULL = [0.0, 1.0, 0.0, 1.0]
PATHS = [f"{name}.jpg" for name in "abcdef"]


def rank_by_baseline(strategy, *rows, cv=2):
    """Issues in the order of the rows, from the baseline and unshuffled folds."""
    y = pd.DataFrame(rows, columns=TARGET_COLUMNS)
    issues = rank_label_issues(DummyLocalizer(strategy), PATHS[: len(y)], y, cv=KFold(cv))
    return issues, issues.set_index("row").sort_index()


def test_issues_are_missing_where_a_label_is_missing():
    issues, by_row = rank_by_baseline(
        "full",
        ("cat", 0.0, 0.5, 0.0, 1.0),
        ("dog", *NOTHING),
        (None, *FULL),
        (None, *NOTHING),
        ("cat", *FULL),
        (None, *NOTHING),
    )
    # Rows 0 to 2 are predicted from a cat and two images without an object: the presence is 1/3,
    # and cat has probability 1. Rows 3 to 5 from cat and dog, 1/2 each, and no such image, of
    # which nothing about presence can be learned.
    nan = np.nan
    expected = {
        "class_issue": [0, 1, nan, nan, 0.5, nan],
        "presence": [1 / 3, 1 / 3, 1 / 3, nan, nan, nan],
        "presence_issue": [2 / 3, 2 / 3, 2 / 3, nan, nan, nan],
        "iou": [0.5, nan, 1, nan, 1, nan],
        "box_issue": [0.5, nan, 0, nan, 0, nan],
        "issue": [2 / 3, 1, 2 / 3, nan, 0.5, nan],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(by_row[name], values, err_msg=name)
    assert issues["row"].tolist() == [1, 0, 2, 4, 3, 5]


def test_presence_issue_is_high_in_images_without_an_object_if_one_is_probable():
    nothing, cat = (None, *NOTHING), ("cat", *FULL)
    _, by_row = rank_by_baseline("full", nothing, cat, cat, cat, nothing, cat, cv=3)
    # Of the four other rows, 3, 2 and 3 have an object.
    assert by_row["presence"].tolist() == [0.75, 0.75, 0.5, 0.5, 0.75, 0.75]
    assert by_row["presence_issue"].tolist() == [0.75, 0.25, 0.5, 0.5, 0.75, 0.25]


def test_class_is_ranked_if_no_object_is_predicted():
    nothing, cat = (None, *NOTHING), ("cat", *FULL)
    _, by_row = rank_by_baseline("prior", cat, ("dog", *FULL), nothing, nothing, nothing, cat)
    # The first half is predicted from two images without an object and a cat.
    first = by_row[:2]
    assert first[["predicted_class", "iou", "box_issue"]].isna().all(axis=None)
    assert first["class_issue"].tolist() == [0, 1]
    np.testing.assert_allclose(first["issue"], [2 / 3, 1])


def test_class_that_the_only_other_rows_lack_is_not_ranked():
    _, by_row = rank_by_baseline("full", ("cat", *FULL), (None, *FULL))
    assert by_row["class_issue"].isna().all()
    assert by_row["predicted_class"].isna().tolist() == [True, False]


@pytest.mark.parametrize("column", [{"class_name": None}, {}])
def test_boxes_without_classes_are_stratified_by_images_without_an_object(column):
    y = pd.DataFrame([FULL] * 4 + [NOTHING] * 2, columns=SIDES).assign(**column)
    issues = rank_label_issues(DummyLocalizer(), PATHS, y, cv=2)
    assert not {"class_issue", "predicted_class"} & set(issues)
    # Each fold has two boxes and one image without an object.
    np.testing.assert_allclose(issues["presence"], [2 / 3] * 6)
    assert set(issues["row"][:2]) == {4, 5}


def test_y_without_any_object_raises():
    y = pd.DataFrame([(None, *NOTHING)] * 2, columns=TARGET_COLUMNS)
    with pytest.raises(BoxError, match="None of the 2 images has an object"):
        rank_label_issues(DummyLocalizer(), PATHS[:2], y, cv=2)


@pytest.mark.slow
def test_issues_of_a_network_agree_with_the_labels_that_there_are(shapes):
    X, y = shapes
    y = y.astype({"class_name": object})
    y.loc[y.index[:12], SIDES] = np.nan
    y.loc[y.index[::6], "class_name"] = None
    # Rows 0 and 6 have neither class nor box; the halves get one each.
    rows = np.r_[0:6, 24:48, 6:24]
    y = y.iloc[rows]
    issues = rank_label_issues(one_epoch(), X[rows], y, cv=KFold(2)).sort_values("row")
    has_class, has_box = y["class_name"].notna().to_numpy(), y["x_min"].notna().to_numpy()
    presence = issues["presence"].to_numpy()
    np.testing.assert_array_equal(
        issues["presence_issue"], np.where(has_class | has_box, 1 - presence, presence)
    )
    np.testing.assert_array_equal(issues["class_issue"].notna(), has_class)
    np.testing.assert_array_equal(issues["iou"].notna(), has_box & (presence >= 0.5))
    np.testing.assert_array_equal(issues["predicted_class"].notna(), presence >= 0.5)


@pytest.mark.slow
def test_parallel_folds_give_the_same_issues(issues, shapes):
    with joblib.parallel_config("threading"):
        in_parallel = rank_label_issues(one_epoch(), *shapes, cv=2, n_jobs=2)
    pd.testing.assert_frame_equal(in_parallel, issues)


def test_boxes_without_classes_are_ranked_by_box_issue(shapes):
    X, y = shapes
    issues = rank_label_issues(one_epoch(), X, y.drop(columns="class_name"), cv=2)
    assert "class_issue" not in issues
    np.testing.assert_array_equal(issues["issue"], issues["box_issue"])


def test_issues_have_the_paths_of_the_images(shapes, tmp_path):
    from PIL import Image

    X, y = shapes
    paths = [str(tmp_path / f"{number}.png") for number in range(len(X))]
    for path, pixels in zip(paths, X, strict=True):
        Image.fromarray(pixels).save(path)
    issues = rank_label_issues(one_epoch(), pd.Series(paths), y, cv=2)
    assert issues["image"].tolist() == [paths[row] for row in issues["row"]]


def test_splitter_that_does_not_test_each_row_once_raises(shapes):
    with pytest.raises(
        ValueError, match=r"each row into exactly one test set.*Row \d+ is in \d test sets"
    ):
        rank_label_issues(one_epoch(), *shapes, cv=ShuffleSplit(2, random_state=0))


@pytest.mark.slow
def test_planted_errors_are_ranked_first():
    X, y = make_shapes(300, image_size=48, n_classes=2, random_state=0)
    planted = y.copy()
    # Every 20th box becomes a small one in the corner that is farther away.
    moved = np.arange(0, 300, 20)
    left = y["x_min"].to_numpy()[moved] + y["x_max"].to_numpy()[moved] > 1
    planted.loc[moved, SIDES] = np.where(left[:, None], [0, 0.3, 0, 0.3], [0.7, 1, 0.7, 1])
    localizer = small_localizer(image_size=48, epochs=30)
    issues = rank_label_issues(localizer, X, planted, cv=3)
    ranked = issues.sort_values("box_issue", ascending=False)["row"][:60]
    # By chance, a fifth of the rows would contain a fifth of the errors.
    assert np.isin(moved, ranked).mean() > 0.6


@pytest.mark.slow
def test_objects_without_a_label_and_labels_without_an_object_are_ranked_first():
    X, y = make_shapes(300, image_size=48, n_classes=2, random_state=0)
    y = y.astype({"class_name": object})
    # A third of the images show only the colours of a corner, where there is mostly no object.
    noise = np.random.default_rng(0).integers(-8, 8, (100, 48, 48, 3))
    X[:100] = np.clip(X[:100, :1, :1].astype(int) + noise, 0, 255)
    y.loc[y.index[:100], TARGET_COLUMNS] = [None, *NOTHING]
    y.iloc[[0, 20, 40, 60, 80]] = y.iloc[100:105]  # Labels without an object.
    y.loc[y.index[[110, 150, 190, 230, 270]], TARGET_COLUMNS] = [None, *NOTHING]
    localizer = small_localizer(image_size=48, epochs=15)
    issues = rank_label_issues(localizer, X, y, cv=3)
    ranked = issues.sort_values("presence_issue", ascending=False)["row"][:30]
    planted = [0, 20, 40, 60, 80, 110, 150, 190, 230, 270]
    # By chance, a tenth of the rows would contain one of the ten.
    assert np.isin(planted, ranked).sum() >= 8
