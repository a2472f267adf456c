"""Histogram of the predicted presence of an object."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Self

import numpy as np

from ..exceptions import BoxError
from ..metrics import pair_rows
from .drawing import EMPTY_COLOR, MEASURE_COLOR, create_axes, format_count_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ..metrics import Pairs
    from ..typing import BoxesLike, FloatArray, ImagesLike, Localizer, TargetsLike

__all__ = ["PresenceDisplay"]

#: The threshold of an estimator that does not say otherwise.
THRESHOLD = 0.5


class PresenceDisplay:
    """Histogram of ``presence`` for images with and without an object, and the threshold.

    Images without an object that reach the threshold are false alarms; images with an object that
    do not reach it are missed.

    Create one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    presence : ndarray of shape (n,)
        Predicted probability that an image has an object, in 0..1.
    is_empty : ndarray of shape (n,)
        Whether the image has no object.
    threshold : float, default=0.5
    name : str, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    false_alarm_rate : float
        Share of the images without an object that are false alarms; NaN if there is no such image.
    miss_rate : float
        Share of the images with an object that are missed; NaN if there is no such image.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import pandas as pd
    >>> from skbbox import PresenceDisplay, TARGET_COLUMNS
    >>> cat, empty = ("cat", 0.0, 0.5, 0.0, 1.0), (None, None, None, None, None)
    >>> y_true = pd.DataFrame([cat, cat, empty, empty], columns=TARGET_COLUMNS)
    >>> y_pred = pd.DataFrame([cat, empty, cat, empty], columns=TARGET_COLUMNS)
    >>> y_pred["presence"] = [0.9, 0.4, 0.6, 0.1]
    >>> display = PresenceDisplay.from_predictions(y_true, y_pred)
    >>> display.false_alarm_rate, display.miss_rate
    (0.5, 0.5)
    """

    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        presence: FloatArray,
        is_empty: NDArray[np.bool_],
        threshold: float = THRESHOLD,
        *,
        name: str | None = None,
    ) -> None:
        self.presence, self.is_empty = presence, is_empty
        self.threshold, self.name = threshold, name

    @classmethod
    def from_estimator(
        cls,
        estimator: Localizer,
        X: ImagesLike,
        y: TargetsLike,
        *,
        threshold: float | None = None,
        bins: int = 20,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Predict images and draw their presence.

        Parameters
        ----------
        estimator : fitted estimator
            Its y of ``fit`` had images without an object.
        X : images of length n
        y : table of n boxes
        threshold : float, default=None
            None uses ``presence_threshold`` of the estimator, if it has one.
        bins, name, ax
            As for :meth:`from_predictions`.

        Returns
        -------
        PresenceDisplay
        """
        if threshold is None:
            threshold = getattr(estimator, "presence_threshold", None)
        return cls.from_predictions(
            y, estimator.predict(X), threshold=threshold, bins=bins, name=name, ax=ax
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: BoxesLike,
        y_pred: BoxesLike,
        *,
        threshold: float | None = None,
        bins: int = 20,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the presence of existing predictions.

        Parameters
        ----------
        y_true : table of n boxes
            Rows with neither class nor box are images without an object.
        y_pred : DataFrame of n rows
            What ``predict`` returned, with the column ``presence``. Images that could not be read
            are left out.
        threshold : float, default=None
            In 0..1. An object is predicted where the presence is at least this high. None means
            0.5, and raises an error if `y_pred` was predicted with another threshold.
        bins : int, default=20
            Number of bars between 0 and 1.
        name : str, default=None
            Name of the model, for the legend.
        ax : matplotlib Axes, default=None
            Where to draw. None creates a figure.

        Returns
        -------
        PresenceDisplay

        Raises
        ------
        BoxError
            If `y_pred` has no ``presence``, a presence is not in 0..1, or `threshold` is None and
            is not 0.5 in `y_pred`.
        ValueError
            If `threshold` is not in 0..1.
        """
        pairs = pair_rows(y_true, y_pred)
        presence = _check_presence(pairs)
        if threshold is None:
            threshold = THRESHOLD
            _check_threshold_of_predictions(pairs, presence)
        _check_threshold(threshold)
        return cls(presence, pairs.is_empty, threshold, name=name).plot(bins=bins, ax=ax)

    @property
    def false_alarm_rate(self) -> float:
        """Share of the images without an object in which one is predicted."""
        return _mean(self.presence[self.is_empty] >= self.threshold)

    @property
    def miss_rate(self) -> float:
        """Share of the images with an object in which none is predicted."""
        return _mean(self.presence[~self.is_empty] < self.threshold)

    def plot(self, *, bins: int = 20, ax: Axes | None = None) -> Self:
        """Draw the histogram.

        Parameters
        ----------
        bins : int, default=20
        ax : matplotlib Axes, default=None
            As for :meth:`from_predictions`.

        Returns
        -------
        PresenceDisplay
        """
        self.ax_ = create_axes() if ax is None else ax
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        groups = {
            "with an object": (self.presence[~self.is_empty], MEASURE_COLOR),
            "without an object": (self.presence[self.is_empty], EMPTY_COLOR),
        }
        values, colors = zip(*groups.values(), strict=True)
        self.ax_.hist(
            values,
            np.linspace(0, 1, bins + 1).tolist(),
            color=colors,
            label=[f"{name} ({len(group):,})" for name, (group, _) in groups.items()],
        )
        rates = {"false alarms": self.false_alarm_rate, "missed": self.miss_rate}
        texts = [f"{rate:.1%} {name}" for name, rate in rates.items() if not np.isnan(rate)]
        self.ax_.axvline(
            self.threshold,
            color="black",
            linestyle="--",
            label=f"threshold {self.threshold:g}: {', '.join(texts)}",
        )
        self.ax_.set(xlabel="presence: probability of an object", ylabel="images", xlim=(0, 1))
        format_count_axis(self.ax_.yaxis)
        # Above the plot, because the highest bars are often at both ends.
        self.ax_.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            frameon=False,
            title=self.name,
            alignment="left",
        )
        return self


def _check_presence(pairs: Pairs) -> FloatArray:
    presence = pairs.get_presence("PresenceDisplay")
    wrong = np.flatnonzero(~((presence >= 0) & (presence <= 1)))
    if wrong.size:
        raise BoxError(
            "presence is a probability in 0..1. Received: "
            f"{presence[wrong[0]]} in row {pairs.rows[wrong[0]]} of y_pred."
        )
    return presence


def _check_threshold_of_predictions(pairs: Pairs, presence: FloatArray) -> None:
    other = np.flatnonzero(pairs.is_detected != (presence >= THRESHOLD))
    if other.size:
        what = "an object" if pairs.is_detected[other[0]] else "no object"
        raise BoxError(
            f"Row {pairs.rows[other[0]]} of y_pred has a presence of {presence[other[0]]:.2f} and "
            f"{what}, so presence_threshold was not {THRESHOLD} in predict. Pass threshold=."
        )


def _check_threshold(threshold: float) -> None:
    is_number = isinstance(threshold, Real) and not isinstance(threshold, bool)
    if not is_number or not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be a number in 0..1. Received: {threshold!r}.")


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else float("nan")
