"""Confidences against what they claim to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from ..boxes.tables import as_pandas
from ..exceptions import BoxError
from ..metrics import CLAIMS, compute_reliability
from .drawing import MEASURE_COLOR, TRUE_COLOR, create_axes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..metrics import Reliability
    from ..typing import BoxesLike, ImagesLike, Localizer, TargetsLike

__all__ = ["CalibrationDisplay"]

#: How the curve of each confidence is drawn.
STYLES: dict[str, dict[str, Any]] = {
    "class_confidence": {"color": MEASURE_COLOR, "marker": "o"},
    "box_confidence": {"color": TRUE_COLOR, "marker": "s"},
}

#: Largest area of a marker in points.
LARGEST = 220


class CalibrationDisplay:
    """``class_confidence`` against the share of right classes, ``box_confidence`` against the IoU.

    Images are put into bins by their confidence. On the diagonal, a confidence is what it claims to
    be; below it, the model is overconfident. Areas of markers are proportional to numbers of
    images.

    Create one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    curves : dict of str to Reliability
        By the name of the confidence: ``confidence`` and ``reached``, the means of each bin,
        ``count``, the number of its images, and ``error``, the expected calibration error.
    name : str, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    skbbox.expected_calibration_error : The mean distance to the diagonal.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbbox import CalibrationDisplay, TARGET_COLUMNS
    >>> y_true = pd.DataFrame([("cat", 0, 1, 0, 1), ("dog", 0, 1, 0, 1)], columns=TARGET_COLUMNS)
    >>> y_pred = y_true.assign(class_name="cat", class_confidence=0.75)
    >>> display = CalibrationDisplay.from_predictions(y_true, y_pred)
    >>> display.curves["class_confidence"].reached
    array([0.5])
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, curves: Mapping[str, Reliability], *, name: str | None = None) -> None:
        self.curves, self.name = curves, name

    @classmethod
    def from_estimator(
        cls,
        estimator: Localizer,
        X: ImagesLike,
        y: TargetsLike,
        *,
        n_bins: int = 10,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Predict images and draw both confidences.

        Parameters
        ----------
        estimator : fitted estimator
        X : images of length n
        y : table of n boxes
        n_bins, name, ax
            As for :meth:`from_predictions`.

        Returns
        -------
        CalibrationDisplay
        """
        return cls.from_predictions(y, estimator.predict(X), n_bins=n_bins, name=name, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: BoxesLike,
        y_pred: BoxesLike,
        *,
        n_bins: int = 10,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw both confidences of existing predictions.

        Parameters
        ----------
        y_true : table of n boxes
        y_pred : DataFrame of n rows
            What ``predict`` returned, with ``class_confidence``, ``box_confidence`` or both.
        n_bins : int, default=10
            Number of bins of equal width.
        name : str, default=None
            Name of the model, for the legend.
        ax : matplotlib Axes, default=None
            Where to draw. None creates a figure.

        Returns
        -------
        CalibrationDisplay

        Raises
        ------
        BoxError
            If `y_pred` has neither confidence, or no row of `y_true` can be compared.
        """
        columns = getattr(as_pandas(y_pred), "columns", ())
        found = [of for of in CLAIMS if of in columns]
        if not found:
            raise BoxError(
                f"CalibrationDisplay needs {' or '.join(CLAIMS)} in y_pred, which predict returns. "
                f"Received: {list(columns)}."
            )
        curves = {of: compute_reliability(y_true, y_pred, of, n_bins) for of in found}
        return cls(curves, name=name).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None creates a figure.

        Returns
        -------
        CalibrationDisplay
        """
        self.ax_ = create_axes((4.8, 5.4)) if ax is None else ax
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        self.ax_.plot([0, 1], [0, 1], color="dimgray", linestyle="--", linewidth=1)
        for of, curve in self.curves.items():
            style = STYLES[of]
            color = style["color"]
            label = f"{of}: {CLAIMS[of]}, error {curve.error:.3f}"
            self.ax_.plot(curve.confidence, curve.reached, color=color, zorder=2)
            self.ax_.scatter(
                curve.confidence,
                curve.reached,
                s=LARGEST * curve.count / curve.count.max(),
                marker=style["marker"],
                color=color,
                edgecolor="black",
                linewidth=0.5,
                zorder=3,
                # Markers at 1 would be cut in half.
                clip_on=False,
            )
            # A marker of one size for the legend.
            self.ax_.plot([], [], **style, label=label)
        self.ax_.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="reached")
        self.ax_.set_aspect("equal")
        self.ax_.grid(alpha=0.3)
        self.ax_.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            frameon=False,
            title=self.name,
            alignment="left",
        )
        return self
