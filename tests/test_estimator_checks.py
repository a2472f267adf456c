"""scikit-learn's estimator checks, through an adapter from 2-D numbers to images and boxes.

With ``two_d_array=False``, scikit-learn runs only one check. The adapter accepts the 2-D X of the
checks, turns each row into an image and the numeric y into boxes, and predicts boxes as numbers.
"""

import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator
from sklearn.utils.validation import check_is_fitted, validate_data

from skbbox import ConformalLocalizer, DummyLocalizer
from skbbox.boxes import COORDINATES

pytestmark = pytest.mark.slow

SGD = "gradient steps on shuffled batches depend on the number and the order of rows"
EXPECTED_FAILURES = {
    "check_methods_subset_invariance": (
        "float32 convolutions of one image and of a batch differ in the last digits"
    ),
    "check_sample_weight_equivalence_on_dense_data": SGD,
    "check_sample_weight_equivalence_on_sparse_data": SGD,
}


class Adapter(BaseEstimator):
    """A localizer for a 2-D X and a numeric y."""

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        X, y = validate_data(self, X, y, multi_output=True)
        self.localizer_ = small_localizer(epochs=1, random_state=self.random_state)
        self.localizer_.fit(self._make_images(X), self._make_boxes(y), sample_weight)
        return self

    def predict(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return self.localizer_.predict(self._make_images(X))[list(COORDINATES)].to_numpy()

    def score(self, X, y, sample_weight=None):
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return self.localizer_.score(self._make_images(X), self._make_boxes(y), sample_weight)

    @staticmethod
    def _make_images(X):
        squashed = (255 / (1 + np.exp(-X / (1 + np.abs(X).max())))).astype(np.uint8)
        pixels = np.resize(squashed.T, (32 * 32 * 3, len(X))).T
        return pixels.reshape(-1, 32, 32, 3)

    @staticmethod
    def _make_boxes(y):
        place = np.resize(np.asarray(y, dtype=float).T, (len(y),)) if np.ndim(y) > 1 else y
        place = np.unique(place, return_inverse=True)[1]
        x_min = 0.5 * place / (place.max() + 1)
        return pd.DataFrame({"x_min": x_min, "x_max": x_min + 0.4, "y_min": 0.1, "y_max": 0.9})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        localizer = small_localizer().__sklearn_tags__()
        tags.target_tags = localizer.target_tags
        # The adapter also accepts a single target column.
        tags.target_tags.single_output = True
        return tags


@pytest.mark.parametrize(
    "estimator, check",
    estimator_checks_generator(Adapter(), expected_failed_checks=EXPECTED_FAILURES, mark="xfail"),
    ids=lambda value: getattr(getattr(value, "func", value), "__name__", type(value).__name__),
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "estimator", [small_localizer(), DummyLocalizer(), ConformalLocalizer(DummyLocalizer())]
)
def test_checks_that_scikit_learn_runs_without_the_adapter(estimator):
    check_estimator(estimator)


def test_tags_describe_images_and_boxes():
    tags = small_localizer().__sklearn_tags__()
    assert tags.estimator_type is None
    assert (tags.input_tags.two_d_array, tags.input_tags.one_d_array) == (False, True)
    assert tags.input_tags.string
    assert tags.target_tags.required
    assert tags.target_tags.two_d_labels
    assert tags.target_tags.multi_output
    assert not tags.target_tags.single_output
    assert not tags.no_validation
