"""Kinds of errors that the IoU is lost to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..metrics import ERRORS, localization_errors
from .drawing import create_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from ..typing import BoxesLike, ImagesLike, Localizer, TargetsLike

__all__ = ["ErrorDisplay"]

#: Colours of M. Okabe and K. Ito, "Color universal design" (2008); that of wrong classes, whose IoU
#: is not lost if only boxes count, is grey.
COLORS = dict(
    zip(
        ERRORS,
        ("#56B4E9", "#0072B2", "#009E73", "#D55E00", "#E69F00", "#CC79A7", "#BBBBBB"),
        strict=True,
    )
)

#: Height of a group's bar, and width of an entry of the legend, in inches.
ROW_HEIGHT = 0.42
ENTRY_WIDTH = 1.2


class ErrorDisplay:
    """The IoU that is lost, by kind of error, for all images or for groups of them.

    :func:`skbbox.localization_errors` defines each kind. Bars end at 1 - mean IoU; what follows in
    grey is the IoU of boxes whose class is wrong.

    Create one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    table : DataFrame
        What :func:`skbbox.localization_errors` returns.
    name : str, default=None
        Name of the model, for the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skbbox import ErrorDisplay
    >>> y_true, y_pred = [(0.2, 0.6, 0.2, 0.6)], [(0.3, 0.5, 0.3, 0.5)]
    >>> display = ErrorDisplay.from_predictions(y_true, y_pred)
    >>> display.table["scale"].round(3).tolist()
    [0.75]
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, table: pd.DataFrame, *, name: str | None = None) -> None:
        self.table, self.name = table, name

    @classmethod
    def from_estimator(
        cls,
        estimator: Localizer,
        X: ImagesLike,
        y: TargetsLike,
        *,
        by: str | ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Predict images and draw the errors.

        Parameters
        ----------
        estimator : fitted estimator
        X : images of length n
        y : table of n boxes
        by, name, ax
            As for :meth:`from_predictions`.

        Returns
        -------
        ErrorDisplay
        """
        return cls.from_predictions(y, estimator.predict(X), by=by, name=name, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: BoxesLike,
        y_pred: BoxesLike,
        *,
        by: str | ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the errors of existing predictions.

        Parameters
        ----------
        y_true : table of n boxes
        y_pred : table of n boxes
            What ``predict`` returned.
        by : str or array-like of shape (n,), default=None
            Groups, as for :func:`skbbox.localization_errors`.
        name : str, default=None
            Name of the model, for the title.
        ax : matplotlib Axes, default=None
            Where to draw. None creates a figure.

        Returns
        -------
        ErrorDisplay

        Raises
        ------
        BoxError
            If no row can be scored, or `by` is unknown.
        """
        return cls(localization_errors(y_true, y_pred, by=by), name=name).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Draw a bar for each group.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None creates a figure.

        Returns
        -------
        ErrorDisplay
        """
        table = self.table
        self.ax_ = create_axes((6.4, 2.0 + ROW_HEIGHT * len(table))) if ax is None else ax
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        places: Any = np.arange(len(table))
        left: Any = np.zeros(len(table))
        for kind in (kind for kind in ERRORS if kind in table and table[kind].any()):
            values = table[kind].to_numpy()
            label = kind.replace("_", " ")
            self.ax_.barh(places, values, left=left, color=COLORS[kind], label=label)
            left = left + values
        labels = [f"{group} ({n:,})" for group, n in zip(table.index, table["n"], strict=True)]
        self.ax_.set_yticks(places, labels)
        self.ax_.invert_yaxis()
        self.ax_.set(xlabel="IoU lost, mean over images", xlim=(0, max(1.05 * left.max(), 0.01)))
        self.ax_.grid(axis="x", alpha=0.3)
        self.ax_.set_axisbelow(True)
        if self.ax_.patches:
            width = self.ax_.get_window_extent().width / self.ax_.figure.dpi
            self.ax_.legend(
                # To the left, it may extend above the names of groups.
                loc="lower right",
                bbox_to_anchor=(1, 1),
                ncols=min(max(int(width / ENTRY_WIDTH), 1), 4),
                frameon=False,
                title=self.name,
            )
        return self
