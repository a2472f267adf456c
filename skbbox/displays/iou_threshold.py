"""Share of predictions that reach each IoU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..metrics import pair_rows
from .drawing import create_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from ..typing import BoxesLike, FloatArray, ImagesLike, Localizer, TargetsLike

__all__ = ["IoUThresholdDisplay"]


class IoUThresholdDisplay:
    """Share of predictions whose IoU is at least a threshold, for all thresholds.

    Each row counts as in :func:`skbbox.mean_iou`: an image without an object has an IoU of 1 if
    none is predicted, else 0; a missed object has 0; a row with a class only is left out. The area
    under the curve is the mean IoU. To compare several models, pass the `ax_` of the first display
    as `ax` of the next.

    Create one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    thresholds : ndarray of shape (m,)
        The thresholds at which the share changes, ascending from 0 to 1.
    shares : ndarray of shape (m,)
        Share of predictions that reach each threshold, in 0..1.
    mean_iou : float
    name : str, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skbbox import IoUThresholdDisplay
    >>> y_true = [(0, 0.5, 0, 1), (0, 0.5, 0, 1)]
    >>> y_pred = [(0, 0.5, 0, 1), (0, 1, 0, 1)]
    >>> display = IoUThresholdDisplay.from_predictions(y_true, y_pred)
    >>> display.thresholds, display.shares, display.mean_iou
    (array([0. , 0.5, 1. ]), array([1. , 1. , 0.5]), 0.75)
    """

    line_: Line2D
    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        thresholds: FloatArray,
        shares: FloatArray,
        mean_iou: float,
        *,
        name: str | None = None,
    ) -> None:
        self.thresholds, self.shares = thresholds, shares
        self.mean_iou, self.name = mean_iou, name

    @classmethod
    def from_estimator(
        cls,
        estimator: Localizer,
        X: ImagesLike,
        y: TargetsLike,
        *,
        name: str | None = None,
        ax: Axes | None = None,
        **line_kwargs: Any,
    ) -> Self:
        """Predict images and draw the curve.

        Parameters
        ----------
        estimator : fitted estimator
        X : images of length n
        y : table of n boxes
        name : str, default=None
            Name of the model, for the legend. None uses the name of the estimator's class.
        ax : matplotlib Axes, default=None
            Where to draw. None creates a figure.
        **line_kwargs
            Passed to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        IoUThresholdDisplay
        """
        name = type(estimator).__name__ if name is None else name
        return cls.from_predictions(y, estimator.predict(X), name=name, ax=ax, **line_kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: BoxesLike,
        y_pred: BoxesLike,
        *,
        name: str | None = None,
        ax: Axes | None = None,
        **line_kwargs: Any,
    ) -> Self:
        """Draw the curve of existing predictions.

        Parameters
        ----------
        y_true : table of n boxes
        y_pred : table of n boxes
            What ``predict`` returned. Images that could not be read are left out.
        name : str, default=None
            Name of the model, for the legend.
        ax : matplotlib Axes, default=None
            Where to draw. None creates a figure.
        **line_kwargs
            Passed to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        IoUThresholdDisplay

        Raises
        ------
        BoxError
            If no row can be scored.
        """
        overlap = np.sort(pair_rows(y_true, y_pred).select_iou())
        thresholds = np.unique(np.concatenate([[0.0], overlap, [1.0]]))
        shares = 1 - np.searchsorted(overlap, thresholds, side="left") / len(overlap)
        display = cls(thresholds, shares, float(overlap.mean()), name=name)
        return display.plot(ax=ax, **line_kwargs)

    def plot(self, *, ax: Axes | None = None, name: str | None = None, **line_kwargs: Any) -> Self:
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None creates a figure.
        name : str, default=None
            Name of the model, for the legend. None uses the name given before.
        **line_kwargs
            Passed to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        IoUThresholdDisplay
        """
        name = self.name if name is None else name
        label = f"mean IoU {self.mean_iou:.3f}"
        if name is not None:
            label = f"{name} ({label})"
        self.ax_ = create_axes() if ax is None else ax
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        if not self.ax_.lines:
            self.ax_.axvline(0.5, color="dimgray", linestyle="--", linewidth=1)
            self.ax_.set(xlim=(0, 1), ylim=(0, 1.02))
            self.ax_.grid(alpha=0.3)
        # A share holds up to and including its threshold.
        options = {"label": label, "drawstyle": "steps-pre"} | line_kwargs
        (self.line_,) = self.ax_.plot(self.thresholds, self.shares, **options)
        self.ax_.set(xlabel="IoU threshold", ylabel="share of predictions that reach it")
        self.ax_.legend(loc="lower left")
        return self
