"""Rows with wrong labels are put in front."""

import joblib
import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer
from sklearn.model_selection import KFold, ShuffleSplit

from skbbox import iou, rank_label_issues
from skbbox.datasets import make_shapes

SIDES = ["x_min", "x_max", "y_min", "y_max"]


def estimator(**changes):
    return small_localizer(**({"epochs": 1} | changes))


@pytest.fixture(scope="module")
def issues(shapes):
    return rank_label_issues(estimator(), *shapes, cv=2)


def test_every_row_is_ranked_once_the_most_suspicious_first(issues, shapes):
    assert sorted(issues["row"]) == list(range(len(shapes[1])))
    assert (np.diff(issues["issue"]) <= 0).all()
    assert issues.index.tolist() == list(range(len(issues)))


def test_issues_are_what_they_are_said_to_be(issues, shapes):
    _, y = shapes
    given = y.iloc[issues["row"]]
    assert issues["class_name"].tolist() == given["class_name"].tolist()
    overlap = iou(given[SIDES].to_numpy(), issues[SIDES].to_numpy())
    np.testing.assert_allclose(issues["iou"], overlap)
    assert issues[["class_issue", "box_issue", "issue"]].to_numpy().min() >= 0
    assert issues[["class_issue", "box_issue", "issue"]].to_numpy().max() <= 1
    np.testing.assert_array_equal(issues["issue"], issues[["class_issue", "box_issue"]].max(axis=1))
    # Above one half, another class is more probable than the given one.
    differs = issues["class_name"] != issues["predicted_class"]
    np.testing.assert_array_equal(differs, issues["class_issue"] > 0.5)


def test_rows_are_predicted_by_a_fit_without_them(shapes):
    X, y = shapes
    folds = KFold(2)
    issues = rank_label_issues(estimator(), X, y, cv=folds).sort_values("row")
    train, test = next(folds.split(X))
    expected = estimator().fit(X[train], y.iloc[train]).predict(X[test])
    np.testing.assert_array_equal(issues[SIDES].to_numpy()[test], expected[SIDES])


def test_workers_give_the_same(issues, shapes):
    with joblib.parallel_config("threading"):
        by_workers = rank_label_issues(estimator(), *shapes, cv=2, n_jobs=2)
    pd.testing.assert_frame_equal(by_workers, issues)


def test_boxes_alone_are_ranked_too(shapes):
    X, y = shapes
    issues = rank_label_issues(estimator(), X, y.drop(columns="class_name"), cv=2)
    assert "class_issue" not in issues
    np.testing.assert_array_equal(issues["issue"], issues["box_issue"])


def test_paths_are_named(shapes, tmp_path):
    from PIL import Image

    X, y = shapes
    paths = [str(tmp_path / f"{number}.png") for number in range(len(X))]
    for path, pixels in zip(paths, X, strict=True):
        Image.fromarray(pixels).save(path)
    issues = rank_label_issues(estimator(), pd.Series(paths), y, cv=2)
    assert issues["image"].tolist() == [paths[row] for row in issues["row"]]


def test_splitter_that_does_not_test_each_row_once_is_refused(shapes):
    with pytest.raises(ValueError, match=r"cv tests each row once.*Row \d+ is tested"):
        rank_label_issues(estimator(), *shapes, cv=ShuffleSplit(2, random_state=0))


@pytest.mark.slow
def test_planted_errors_are_in_front():
    X, y = make_shapes(300, image_size=48, n_classes=2, random_state=0)
    planted = y.copy()
    # Every 20th box becomes a small one in the corner farther away.
    moved = np.arange(0, 300, 20)
    left = y["x_min"].to_numpy()[moved] + y["x_max"].to_numpy()[moved] > 1
    planted.loc[moved, SIDES] = np.where(left[:, None], [0, 0.3, 0, 0.3], [0.7, 1, 0.7, 1])
    localizer = small_localizer(image_size=48, epochs=30)
    issues = rank_label_issues(localizer, X, planted, cv=3)
    ranked = issues.sort_values("box_issue", ascending=False)["row"][:60]
    # A fifth of the rows would hold a fifth of the errors by chance.
    assert np.isin(moved, ranked).mean() > 0.6
