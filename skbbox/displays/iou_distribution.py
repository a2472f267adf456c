"""Distribution of the IoU of true and predicted boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from ..metrics import NO_OBJECT, pair_rows
from .drawing import EMPTY_COLOR, MEASURE_COLOR, create_axes, format_count_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ..typing import BoxesLike, FloatArray, ImagesLike, Localizer, TargetsLike

__all__ = ["IoUDistributionDisplay"]

#: Height of a class's row in inches.
ROW_HEIGHT = 0.42


class IoUDistributionDisplay:
    """Histogram of the IoU of true and predicted boxes, for all images or each class.

    Each row counts as in :func:`skbbox.mean_iou`: an image without an object has an IoU of 1 if
    none is predicted, else 0; a missed object has 0; a row with a class only is left out.

    Create one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    iou : ndarray of shape (n,)
        In 0..1.
    class_names : ndarray of shape (n,), default=None
        True classes; None in rows without one.
    is_empty : ndarray of shape (n,), default=None
        Whether each image has no object. None means that all have one.
    name : str, default=None
        Name of the model, for the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import pandas as pd
    >>> from skbbox import IoUDistributionDisplay
    >>> y_true = [(0, 0.5, 0, 1), (0, 0.5, 0, 1)]
    >>> y_pred = [(0, 0.5, 0, 1), (0, 1, 0, 1)]
    >>> display = IoUDistributionDisplay.from_predictions(y_true, y_pred)
    >>> display.iou
    array([1. , 0.5])
    """

    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        iou: FloatArray,
        class_names: NDArray[np.object_] | None = None,
        *,
        is_empty: NDArray[np.bool_] | None = None,
        name: str | None = None,
    ) -> None:
        self.iou, self.class_names, self.name = iou, class_names, name
        self.is_empty = np.zeros(len(iou), dtype=bool) if is_empty is None else is_empty

    @classmethod
    def from_estimator(
        cls,
        estimator: Localizer,
        X: ImagesLike,
        y: TargetsLike,
        *,
        by_class: bool = False,
        bins: int = 20,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Predict images and draw the distribution of their IoU.

        Parameters
        ----------
        estimator : fitted estimator
        X : images of length n
        y : table of n boxes
        by_class, bins, name, ax
            As for :meth:`from_predictions`.

        Returns
        -------
        IoUDistributionDisplay
        """
        return cls.from_predictions(
            y, estimator.predict(X), by_class=by_class, bins=bins, name=name, ax=ax
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: BoxesLike,
        y_pred: BoxesLike,
        *,
        by_class: bool = False,
        bins: int = 20,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the distribution of the IoU of existing predictions.

        Parameters
        ----------
        y_true : table of n boxes
        y_pred : table of n boxes
            What ``predict`` returned. Images that could not be read are left out.
        by_class : bool, default=False
            Whether to draw one row for each class of `y_true`, lowest mean at the top. Images
            without an object, and objects of unknown class, have a row each.
        bins : int, default=20
            Number of bars between 0 and 1.
        name : str, default=None
            Name of the model, for the title.
        ax : matplotlib Axes, default=None
            Where to draw. None creates a figure.

        Returns
        -------
        IoUDistributionDisplay

        Raises
        ------
        ValueError
            If `by_class` is True and `y_true` has no classes.
        BoxError
            If no row can be scored.
        """
        pairs = pair_rows(y_true, y_pred)
        iou, is_scored = pairs.select_iou(), pairs.has_iou
        names = None if pairs.true_names is None else pairs.true_names[is_scored]
        display = cls(iou, names, is_empty=pairs.is_empty[is_scored], name=name)
        return display.plot(by_class=by_class, bins=bins, ax=ax)

    def plot(self, *, by_class: bool = False, bins: int = 20, ax: Axes | None = None) -> Self:
        """Draw the histogram.

        Parameters
        ----------
        by_class : bool, default=False
        bins : int, default=20
        ax : matplotlib Axes, default=None
            As for :meth:`from_predictions`.

        Returns
        -------
        IoUDistributionDisplay
        """
        edges = np.linspace(0, 1, bins + 1).tolist()
        if by_class:
            self._draw_classes(edges, ax)
        else:
            self._draw_all(edges, ax)
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        self.ax_.set(xlabel="IoU of true and predicted box", xlim=(0, 1))
        if self.name is not None:
            self.ax_.set_title(self.name)
        return self

    def _draw_all(self, edges: list[float], ax: Axes | None) -> None:
        self.ax_ = create_axes() if ax is None else ax
        # One on top of the other.
        groups = [(self.iou[~self.is_empty], MEASURE_COLOR, "images with an object")]
        if self.is_empty.any():
            label = "without one: 1 if none is predicted, else 0"
            groups.append((self.iou[self.is_empty], EMPTY_COLOR, label))
        values, colors, labels = zip(*groups, strict=True)
        self.ax_.hist(
            values,
            edges,
            stacked=True,
            color=colors,
            edgecolor="white",
            linewidth=0.5,
            label=labels if len(groups) > 1 else None,
        )
        mean, share = self.iou.mean(), (self.iou >= 0.5).mean()
        self.ax_.axvline(mean, color="black", label=f"mean {mean:.3f}")
        label = f"0.5, reached by {share:.0%}"
        self.ax_.axvline(0.5, color="dimgray", linestyle="--", label=label)
        self.ax_.set_ylabel("images")
        format_count_axis(self.ax_.yaxis)
        self.ax_.legend()

    def _draw_classes(self, edges: list[float], ax: Axes | None) -> None:
        names = self.class_names
        if names is None:
            raise ValueError(
                "by_class=True needs class_name in y_true, which has only coordinates; add the "
                "column, or leave out by_class."
            )
        is_unknown = pd.isna(names) & ~self.is_empty
        classes = sorted(pd.unique(names[~pd.isna(names)]), key=str)
        kinds = [(str(name), names == name) for name in classes]
        kinds += [("box only", is_unknown), (NO_OBJECT, self.is_empty)]
        groups = [(self.iou[is_kind], label) for label, is_kind in kinds if is_kind.any()]
        # Rows are drawn from the bottom up.
        groups.sort(key=lambda group: -group[0].mean())
        self.ax_ = create_axes((6.4, 1.2 + ROW_HEIGHT * len(groups))) if ax is None else ax
        for row, (values, _) in enumerate(groups):
            counts = np.histogram(values, edges)[0]
            heights = 0.85 * counts / counts.max()
            self.ax_.bar(
                edges[:-1],
                heights,
                np.diff(edges),
                bottom=row,
                align="edge",
                color=MEASURE_COLOR,
                edgecolor="white",
                linewidth=0.5,
            )
            self.ax_.plot(
                [values.mean()] * 2, [row, row + 0.9], color="black", label="" if row else "mean"
            )
        self.ax_.axvline(0.5, color="dimgray", linestyle="--", label="0.5")
        labels = [f"{name} ({len(values)})" for values, name in groups]
        self.ax_.set_yticks(np.arange(len(groups)) + 0.4, labels)
        self.ax_.tick_params(axis="y", length=0)
        self.ax_.set(ylim=(-0.1, len(groups)), ylabel="class (images)")
        self.ax_.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
