"""Unreadable images: an error, or dropped with a reason."""

import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer
from PIL import Image
from sklearn.model_selection import cross_val_predict, cross_validate

from skbbox import StratifiedBoxKFold, box_scorer, mean_iou, mean_iou_scorer
from skbbox.boxes import COORDINATES
from skbbox.exceptions import BoxError, ImageError, SkbboxWarning
from skbbox.features import forget_features

#: Rows of the fixture `spoiled` with unreadable images.
BAD = (3, 10, 20)
GOOD = np.setdiff1d(np.arange(24), BAD)


@pytest.fixture(scope="module")
def spoiled(shapes, tmp_path_factory):
    """24 files and their boxes; two are damaged, with equal bytes, and one is missing."""
    folder = tmp_path_factory.mktemp("spoiled")
    paths = [folder / f"{row}.png" for row in range(24)]
    for path, pixels in zip(paths, shapes[0], strict=False):
        Image.fromarray(pixels).save(path)
    damaged = paths[3].read_bytes()[:200]
    paths[3].write_bytes(damaged)
    paths[10].write_bytes(damaged)
    paths[20].unlink()
    return np.array(paths, dtype=object), shapes[1][:24]


@pytest.fixture(params=["frozen", "trained from scratch"])
def changes(request, frozen_backbone):
    if request.param == "frozen":
        return {"backbone": frozen_backbone, "weights": "imagenet", "epochs": 1}
    return {"epochs": 1}


def test_fit_equals_a_fit_without_the_bad_images(spoiled, changes):
    X, y = spoiled
    localizer = small_localizer(on_bad_image="skip", **changes).fit(X, y)
    expected = small_localizer(**changes).fit(X[GOOD], y.iloc[GOOD])
    pd.testing.assert_frame_equal(
        localizer.predict(X[GOOD]).drop(columns="error"), expected.predict(X[GOOD])
    )
    assert list(localizer.bad_images_) == list(BAD)
    assert "does not exist" in localizer.bad_images_[20]


def test_predict_has_a_row_for_each_image_with_the_error(spoiled, changes):
    X, y = spoiled
    localizer = small_localizer(on_bad_image="skip", **changes).fit(X[GOOD], y.iloc[GOOD])
    index = [f"image {row}" for row in range(24)]
    predicted = localizer.predict(pd.Series(X, index=index))
    assert predicted.index.tolist() == index
    bad = predicted.iloc[list(BAD)]
    assert (
        bad[["class_name", *COORDINATES, "class_confidence", "box_confidence"]]
        .isna()
        .all(axis=None)
    )
    assert bad["error"].str.contains(r"\.png (?:cannot|does not)").all()
    assert predicted["error"].iloc[GOOD].isna().all()
    assert predicted.drop(columns="error").iloc[GOOD].notna().all(axis=None)
    assert np.isnan(localizer.predict_proba(X)).all(axis=1).nonzero()[0].tolist() == list(BAD)
    assert np.isnan(localizer.embed(X)).all(axis=1).nonzero()[0].tolist() == list(BAD)


def test_score_is_that_of_the_readable_images(spoiled, changes):
    X, y = spoiled
    localizer = small_localizer(on_bad_image="skip", **changes).fit(X, y)
    weights = np.arange(24.0)
    score = localizer.score(X, y, sample_weight=weights)
    assert score == localizer.score(X[GOOD], y.iloc[GOOD], sample_weight=weights[GOOD])


def test_warning_has_the_number_and_the_first_bad_image(spoiled):
    X, y = spoiled
    message = r"3 of 24 images cannot be read and are left out. Row 3: .*3\.png cannot be decoded"
    localizer = small_localizer(on_bad_image="warn", epochs=1)
    with pytest.warns(SkbboxWarning, match=message):
        localizer.fit(X, y)
    with pytest.warns(SkbboxWarning, match=message):
        localizer.predict(X)


def test_the_warning_names_the_first_bad_row(spoiled, frozen_backbone):
    X, y = spoiled
    frozen = {"backbone": frozen_backbone, "weights": "imagenet", "epochs": 1}
    localizer = small_localizer(on_bad_image="skip", **frozen).fit(X[GOOD], y.iloc[GOOD])
    # A missing file, row 20, is noticed before the damaged one in row 3.
    with pytest.warns(SkbboxWarning, match=r"3 of 24 images .* Row 3: "):
        localizer.set_params(on_bad_image="warn").predict(X)


def test_without_bad_images_there_is_no_warning_and_the_column_is_empty(shapes):
    localizer = small_localizer(on_bad_image="warn", epochs=1).fit(*shapes)
    assert localizer.bad_images_ == {}
    assert localizer.predict(shapes[0])["error"].isna().all()


def test_bad_image_is_an_error_by_default(spoiled, changes):
    X, y = spoiled
    with pytest.raises(ImageError, match=r"Row (3|20): .*(3|20)\.png"):
        small_localizer(**changes).fit(X, y)
    localizer = small_localizer(**changes).fit(X[GOOD], y.iloc[GOOD])
    with pytest.raises(ImageError, match=r"Row (3|20): .*(3|20)\.png"):
        localizer.predict(X)


def test_features_of_a_bad_image_are_not_cached(spoiled, frozen_backbone):
    X, y = spoiled
    forget_features()
    localizer = small_localizer(
        backbone=frozen_backbone, weights="imagenet", epochs=1, on_bad_image="skip"
    ).fit(X, y)
    localizer.predict(X)
    localizer.set_params(on_bad_image="raise")
    with pytest.raises(ImageError, match=r"Row 0: .*10\.png"):
        localizer.predict(X[[10]])


def test_array_that_is_not_an_image_has_an_error_too(fitted, shapes):
    localizer = small_localizer(on_bad_image="skip", epochs=1).fit(*shapes)
    predicted = localizer.predict([shapes[0][0], shapes[0][1] / 255])
    assert predicted["error"].isna().tolist() == [True, False]
    assert "multiply by 255" in predicted["error"][1]


def test_only_bad_images_are_an_error(spoiled):
    X, y = spoiled
    localizer = small_localizer(on_bad_image="skip", epochs=1)
    with pytest.raises(ImageError, match=r"None of the 3 images can be read. Row 0: .*3\.png"):
        localizer.fit(X[list(BAD)], y.iloc[list(BAD)])
    localizer.fit(X, y)
    assert localizer.predict(X[list(BAD)])["error"].notna().all()
    with pytest.raises(BoxError, match="none of the 3 images can be read"):
        localizer.score(X[list(BAD)], y.iloc[list(BAD)])


def test_cross_validation_scores_the_readable_images(spoiled):
    X, y = spoiled
    localizer = small_localizer(on_bad_image="skip", epochs=1)
    cv = StratifiedBoxKFold(2)
    scores = cross_validate(localizer, X, y, cv=cv, scoring=box_scorer, error_score="raise")
    by_hand = []
    for train, test in cv.split(X, y):
        test = np.intersect1d(test, GOOD)
        fold = small_localizer(epochs=1).fit(
            X[np.intersect1d(train, GOOD)], y.iloc[np.intersect1d(train, GOOD)]
        )
        by_hand.append(mean_iou(y.iloc[test], fold.predict(X[test])))
    # Batches of other sizes may be added up otherwise.
    assert scores["test_mean_iou"] == pytest.approx(by_hand, rel=1e-4)
    named = cross_validate(localizer, X, y, cv=cv, scoring=mean_iou_scorer, error_score="raise")
    assert named["test_score"] == pytest.approx(by_hand, rel=1e-4)


@pytest.mark.parametrize("columns", [["class_name", *COORDINATES], list(COORDINATES)])
def test_measures_accept_rows_of_cross_val_predict(shapes, columns):
    X, y = shapes
    y = y[columns]
    localizer = small_localizer(on_bad_image="skip", epochs=1)
    rows = cross_val_predict(localizer, X, y, cv=2)
    table = pd.DataFrame(rows).iloc[:, len(columns) - 4 : len(columns)]
    assert mean_iou(y, rows) == mean_iou(y, table.to_numpy(float))
