"""Scores for growing numbers of training images, and what twice as many would gain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.optimize import least_squares
from sklearn.model_selection import learning_curve

from ..boxes import read_table
from ..boxes.tables import as_pandas
from ..exceptions import DataError
from ..metrics import mean_iou_scorer
from ..model_selection import StratifiedBoxKFold
from .drawing import MEASURE_COLOR, create_axes

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from ..typing import FloatArray, ImagesLike, TargetsLike

__all__ = ["LearningCurveDisplay"]

#: Resamples of the folds, and the share of them that the band contains.
N_RESAMPLES, BAND = 200, 0.9


class LearningCurveDisplay:
    """Score against the number of training images, extrapolated to twice as many.

    A power law, ``best - loss * n ** -rate``, is fitted to the mean scores. Resamples of the folds
    give its uncertainty, which does not include that another law might hold.

    Create one with :meth:`from_estimator` or :meth:`from_scores`.

    Parameters
    ----------
    train_sizes : ndarray of shape (n_sizes,)
        Numbers of training images, ascending.
    scores : ndarray of shape (n_sizes, n_folds)
        In 0..1, on images that were not trained on.
    metric : str, default="mean IoU"
    random_state : int, default=0
        Source of the resamples.

    Attributes
    ----------
    gain : float
        Expected gain of doubling the largest number of images.
    gain_interval : (float, float)
        90 % of the resamples of the folds are between these.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    References
    ----------
    .. [1] C. Cortes et al., "Learning Curves: Asymptotic Values and Rate of Convergence",
       NeurIPS 1993 (power law).

    Examples
    --------
    >>> from skbbox import LearningCurveDisplay
    >>> scores = [[0.5, 0.5], [0.6, 0.6], [0.65, 0.65], [0.675, 0.675]]
    >>> display = LearningCurveDisplay.from_scores([10, 20, 40, 80], scores)
    >>> round(display.gain, 4)
    0.0125
    """

    gain: float
    gain_interval: tuple[float, float]
    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        train_sizes: FloatArray,
        scores: FloatArray,
        *,
        metric: str = "mean IoU",
        random_state: int = 0,
    ) -> None:
        self.train_sizes, self.scores, self.metric = train_sizes, scores, metric
        last = float(train_sizes[-1])
        self._sizes = np.geomspace(train_sizes[0], 2 * last, 50)
        rng, n_folds = np.random.default_rng(random_state), scores.shape[1]
        folds = [rng.integers(n_folds, size=n_folds) for _ in range(N_RESAMPLES)]
        laws = [_fit_law(train_sizes, scores[:, drawn].mean(axis=1)) for drawn in folds]
        self._law = _fit_law(train_sizes, scores.mean(axis=1))
        self._laws = np.array([law(self._sizes) for law in laws])
        gains = [float(law(2 * last) - law(last)) for law in laws]
        low, high = np.quantile(gains, [(1 - BAND) / 2, (1 + BAND) / 2])
        self.gain = float(self._law(2 * last) - self._law(last))
        self.gain_interval = (float(low), float(high))

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ImagesLike,
        y: TargetsLike,
        *,
        train_sizes: ArrayLike = (0.125, 0.25, 0.5, 1.0),
        cv: Any = 5,
        groups: ArrayLike | None = None,
        scoring: Any = None,
        metric: str = "mean IoU",
        n_jobs: int | None = None,
        random_state: int = 0,
        ax: Axes | None = None,
    ) -> Self:
        """Fit an estimator to growing numbers of images, and draw its scores.

        Parameters
        ----------
        estimator : estimator
            Is cloned.
        X : images of length n
        y : table of n boxes
        train_sizes : array-like, default=(0.125, 0.25, 0.5, 1.0)
            At least three numbers of images, or shares of the training part of a fold.
        cv : int or splitter, default=5
            A number of folds is stratified by class.
        groups : array-like of shape (n,), default=None
            For a splitter that needs them.
        scoring : callable, default=None
            None is the mean IoU.
        metric : str, default="mean IoU"
            Name of the score, for the axis.
        n_jobs : int, default=None
            Number of fits in parallel.
        random_state : int, default=0
            Source of the folds, of the images that are drawn, and of the resamples.
        ax : matplotlib Axes, default=None
            Where to draw. None creates a figure.

        Returns
        -------
        LearningCurveDisplay
        """
        if isinstance(cv, int):
            cv = StratifiedBoxKFold(cv, shuffle=True, random_state=random_state)
        sizes, _, scores = learning_curve(
            estimator,
            as_pandas(X),
            read_table(y),
            groups=groups,
            train_sizes=np.asarray(train_sizes),
            cv=cv,
            scoring=mean_iou_scorer if scoring is None else scoring,
            n_jobs=n_jobs,
            shuffle=True,
            random_state=random_state,
            error_score="raise",
        )
        return cls.from_scores(sizes, scores, metric=metric, random_state=random_state, ax=ax)

    @classmethod
    def from_scores(
        cls,
        train_sizes: ArrayLike,
        scores: ArrayLike,
        *,
        metric: str = "mean IoU",
        random_state: int = 0,
        ax: Axes | None = None,
    ) -> Self:
        """Draw scores that scikit-learn's ``learning_curve`` returned.

        Parameters
        ----------
        train_sizes : array-like of shape (n_sizes,)
        scores : array-like of shape (n_sizes, n_folds)
            Test scores.
        metric, random_state, ax
            As for :meth:`from_estimator`.

        Returns
        -------
        LearningCurveDisplay

        Raises
        ------
        DataError
            If there are fewer than three sizes, they are not ascending, or a score is missing.
        """
        sizes = np.asarray(train_sizes, dtype=np.float64)
        values = np.asarray(scores, dtype=np.float64)
        if sizes.ndim != 1 or len(sizes) < 3 or not (np.diff(sizes) > 0).all() or sizes[0] <= 0:
            raise DataError(
                "train_sizes needs at least three ascending numbers of images. Received: "
                f"{np.asarray(train_sizes).tolist()}."
            )
        if values.ndim != 2 or len(values) != len(sizes) or not np.isfinite(values).all():
            raise DataError(
                "scores needs a row for each size and a column for each fold, without missing "
                f"values. Received shape {values.shape} for {len(sizes)} sizes."
            )
        display = cls(sizes, values, metric=metric, random_state=random_state)
        return display.plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Draw the scores and the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None creates a figure.

        Returns
        -------
        LearningCurveDisplay
        """
        self.ax_ = ax = create_axes() if ax is None else ax
        self.figure_ = ax.figure  # type: ignore[assignment]
        sizes, last = self.train_sizes, self.train_sizes[-1]
        ax.plot(
            np.repeat(sizes, self.scores.shape[1]),
            self.scores.ravel(),
            "o",
            color="gray",
            alpha=0.6,
            markersize=4,
            label="single folds",
        )
        ax.plot(sizes, self.scores.mean(axis=1), "o", color=MEASURE_COLOR, label="mean over folds")
        low, high = np.quantile(self._laws, [(1 - BAND) / 2, (1 + BAND) / 2], axis=0)
        ax.fill_between(
            self._sizes, low, high, color=MEASURE_COLOR, alpha=0.2, linewidth=0, label="90 %"
        )
        curve = self._law(self._sizes)
        for part, style in ((self._sizes <= last, "-"), (self._sizes >= last, "--")):
            ax.plot(self._sizes[part], curve[part], style, color=MEASURE_COLOR)
        low, high = self.gain_interval
        ax.plot(
            2 * last,
            curve[-1],
            "D",
            color=MEASURE_COLOR,
            markerfacecolor="white",
            label=f"twice the images: {self.gain:+.3f} ({low:+.3f} to {high:+.3f})",
        )
        ax.set(xscale="log", xlabel="training images", ylabel=self.metric)
        ax.set_xticks([*sizes, 2 * last], [f"{size:,.0f}" for size in (*sizes, 2 * last)])
        ax.xaxis.set_ticks([], minor=True)
        ax.grid(alpha=0.3)
        ax.legend(loc="lower right")
        return self


def _fit_law(sizes: FloatArray, means: FloatArray) -> Callable[[Any], Any]:
    """The power law through mean scores, as a function of the number of images."""

    # In units of the first size, so that the loss is what is lost there.
    def law(parameters: FloatArray, size: Any) -> Any:
        best, loss, rate = parameters
        return best - loss * (np.asarray(size) / sizes[0]) ** -rate

    # A score is at most 1, and more images do not harm.
    bounds = ([0.0, 0.0, 0.05], [1.0, 1.0, 2.0])
    start = np.clip([means.max(), np.ptp(means), 0.5], *bounds)
    found = least_squares(lambda parameters: law(parameters, sizes) - means, start, bounds=bounds)
    return lambda size: law(found.x, size)
