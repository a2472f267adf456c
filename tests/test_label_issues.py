"""Rows with wrong labels are ranked first."""

import joblib
import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer
from sklearn.model_selection import KFold, ShuffleSplit

from skbbox import TARGET_COLUMNS, DummyLocalizer, iou, rank_label_issues
from skbbox.datasets import make_shapes

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
